// Detection of CPU and operating system; baseline code only.
#include "dispatch.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace rekur {

#if defined(__x86_64__)
extern const Table table_avx512bf16, table_avx512, table_avx2;
#elif defined(__aarch64__)
extern const Table table_neon;
#endif
extern const Table table_scalar;

namespace {

#if defined(__x86_64__)
struct Features {
  bool avx2, avx512, avx512bf16;
};

// The register state the operating system saves: bits 1, 2 for xmm and ymm, 5 to 7 for masks and zmm.
uint64_t saved_registers() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low | uint64_t(high) << 32;
}

Features detect() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return {};
  const bool fma = c >> 12 & 1, osxsave = c >> 27 & 1, avx = c >> 28 & 1;
  if (!fma || !osxsave || !avx || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {};
  const uint64_t saved = saved_registers();
  const bool ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6;
  const bool avx2 = ymm && (b >> 5 & 1);
  const bool f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1;
  const bool avx512 = avx2 && zmm && f && dq && bw && vl;
  const bool bf16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
  return {avx2, avx512, avx512 && bf16};
}
#endif

}  // namespace

int compiled_targets(const Table* (&tables)[max_targets]) {
  int n = 0;
#if defined(__x86_64__)
  tables[n++] = &table_avx512bf16;
  tables[n++] = &table_avx512;
  tables[n++] = &table_avx2;
#elif defined(__aarch64__)
  tables[n++] = &table_neon;
#endif
  tables[n++] = &table_scalar;
  return n;
}

bool supported(const Table& table) {
#if defined(__x86_64__)
  static const Features features = detect();
  if (!strcmp(table.name, "avx512bf16")) return features.avx512bf16;
  if (!strcmp(table.name, "avx512")) return features.avx512;
  if (!strcmp(table.name, "avx2")) return features.avx2;
#else
  (void)table;
#endif
  return true;
}

const Table& best_target() {
  const Table* tables[max_targets];
  const int n = compiled_targets(tables);
  for (int i = 0; i < n; ++i) {
    if (supported(*tables[i])) return *tables[i];
  }
  return *tables[n - 1];
}

}  // namespace rekur
