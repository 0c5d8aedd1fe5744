// The generic part compiled for AVX-512: a region of its own, in a file with baseline flags.
#include <cstring>

#include "api.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand inside its own AVX-512 intrinsics for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")
#endif
namespace rekur::avx512 {
#include "simd/avx512.h"

#include "generic/all-inl.h"
}  // namespace rekur::avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace rekur {
extern const Table table_avx512;
const Table table_avx512 = {"avx512", avx512::cell_count, avx512::cell_facts, avx512::need,
                            avx512::forward, avx512::backward, avx512::math};
}  // namespace rekur
#endif
