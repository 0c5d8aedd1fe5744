// The generic part compiled for AVX2: a region of its own, in a file with baseline flags.
#include <cstring>

#include "api.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace rekur::avx2 {
#include "simd/avx2.h"

#include "generic/all-inl.h"
}  // namespace rekur::avx2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace rekur {
extern const Table table_avx2;
const Table table_avx2 = {"avx2", avx2::cell_count, avx2::cell_facts, avx2::need,
                            avx2::forward, avx2::backward, avx2::math};
}  // namespace rekur
#endif
