// The free list behind Block: first come the smallest block that fits, at most `waste` times too large.
#include "pool.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#elif defined(_WIN32)
#include <malloc.h>
#endif

namespace rekur {
namespace {

constexpr size_t bound = size_t(512) << 20;  // bytes kept at most
constexpr size_t huge = size_t(2) << 20;     // from here on ask for huge pages
constexpr size_t waste = 4;

struct Pool {
  std::mutex mutex;
  std::multimap<size_t, char*> free;
  size_t bytes = 0;
};

Pool& pool() {
  static Pool* const alive = new Pool;  // never destroyed: blocks may come back while the process ends
  return *alive;
}

char* fresh(size_t bytes) {
#if defined(_WIN32)
  void* data = _aligned_malloc(bytes, 64);
#else
  const size_t alignment = bytes >= huge ? huge : 64;
  void* data = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#endif
  if (!data) throw std::bad_alloc();
#if defined(__linux__)
  if (bytes >= huge) madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return static_cast<char*>(data);
}

void give_back(char* data) {
#if defined(_WIN32)
  _aligned_free(data);
#else
  std::free(data);
#endif
}

}  // namespace

Block::Block(size_t bytes) : size_((bytes + 4095) / 4096 * 4096) {
  if (!bytes) {
    size_ = 0;
    return;
  }
  {
    Pool& p = pool();
    const std::lock_guard<std::mutex> lock(p.mutex);
    const auto found = p.free.lower_bound(size_);
    if (found != p.free.end() && found->first <= size_ * waste) {
      size_ = found->first;
      data_ = found->second;
      p.bytes -= size_;
      p.free.erase(found);
      return;
    }
  }
  data_ = fresh(size_);
}

Block& Block::operator=(Block&& other) noexcept {
  char* const data = data_;
  const size_t size = size_;
  data_ = other.data_, size_ = other.size_;
  other.data_ = data, other.size_ = size;
  return *this;
}

Block::~Block() {
  if (!data_) return;
  if (size_ <= bound) {
    Pool& p = pool();
    const std::lock_guard<std::mutex> lock(p.mutex);
    while (p.bytes + size_ > bound) {  // the smallest ones are the cheapest to make again
      const auto first = p.free.begin();
      p.bytes -= first->first;
      give_back(first->second);
      p.free.erase(first);
    }
    p.free.emplace(size_, data_);
    p.bytes += size_;
    return;
  }
  give_back(data_);
}

size_t pool_bytes() {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  return p.bytes;
}

void pool_clear() {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  for (const auto& block : p.free) give_back(block.second);
  p.free.clear();
  p.bytes = 0;
}

}  // namespace rekur
