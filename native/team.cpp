// The threads of a call: those of torch's own OpenMP runtime, found at run time.
//
// The extension is not linked with OpenMP. Once torch is imported, its runtime stands in the global scope of the
// process, whatever its file is called, and its entry points are looked up there: never a second runtime beside
// torch's, one set of threads for both. Without it (or in a forked child, where the threads of the parent are gone
// and the runtime would wait for them) a call runs on one thread, with the same result.
#include "api.h"

#if !defined(_WIN32)
#include <dlfcn.h>
#include <pthread.h>
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rekur {
namespace {

struct Runtime {
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
  void (*barrier)();
  int (*rank)();
  int (*size)();
};

#if defined(_WIN32)
constexpr bool forked = false;
constexpr int watching = 0;

Runtime find_runtime() { return {}; }  // not looked for yet: one thread
#else
bool forked = false;
const int watching = pthread_atfork(nullptr, nullptr, [] { forked = true; });  // from the moment of loading

Runtime find_runtime() {
  Runtime found;
  found.parallel = reinterpret_cast<decltype(found.parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  found.barrier = reinterpret_cast<decltype(found.barrier)>(dlsym(RTLD_DEFAULT, "GOMP_barrier"));
  found.rank = reinterpret_cast<decltype(found.rank)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
  found.size = reinterpret_cast<decltype(found.size)>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
  if (!found.barrier || !found.rank || !found.size) found.parallel = nullptr;
  return found;
}
#endif

const Runtime& runtime() {
  static const Runtime found = find_runtime();
  return found;
}

// Denormals are read and written as zero within its life: gradients that decay into them cost up to six times.
class FlushToZero {
 public:
#if defined(__x86_64__)
  FlushToZero() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushToZero() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushToZero() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    __asm__ volatile("msr fpcr, %0" : : "r"(saved_ | uint64_t(1) << 24));
  }
  ~FlushToZero() { __asm__ volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
  uint64_t saved_;
#endif
};

struct Job {
  void (*work)(void*, const Team&);
  void* context;
};

void run_member(void* argument) {
  const Job& job = *static_cast<const Job*>(argument);
  const FlushToZero scope;
  const int size = runtime().size();
  job.work(job.context, Team{runtime().rank(), size, size > 1 ? runtime().barrier : nullptr});
}

}  // namespace

void run_team(int threads, void (*work)(void*, const Team&), void* context) {
  Job job{work, context};
  if (threads > 1 && !forked && watching == 0 && runtime().parallel) {
    runtime().parallel(run_member, &job, unsigned(threads), 0);
    return;
  }
  const FlushToZero scope;
  work(context, Team{0, 1, nullptr});
}

}  // namespace rekur
