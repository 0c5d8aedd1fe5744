// bfloat16 for CPUs that multiply it (AVX512-BF16); all else is avx512's.
#include <cstring>

#include "api.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand inside its own AVX-512 intrinsics for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx512bf16,avx2,fma")
#endif
#define REKUR_BF16_ONLY
namespace rekur::avx512bf16 {
#include "simd/avx512.h"

#include "generic/all-inl.h"
}  // namespace rekur::avx512bf16
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace rekur {
extern const Table table_avx512, table_avx512bf16;

namespace {

bool half(Dtype dtype) { return dtype == Dtype::bfloat16; }

Need need(int cell, Dtype dtype, const Problem& p, bool backward) {
  return (half(dtype) ? avx512bf16::need : table_avx512.need)(cell, dtype, p, backward);
}

void forward(int cell, Dtype dtype, const Problem& p, void* tape, void* scratch) {
  (half(dtype) ? avx512bf16::forward : table_avx512.forward)(cell, dtype, p, tape, scratch);
}

void backward(int cell, Dtype dtype, const Problem& p, const Gradient& g, const void* tape, void* scratch) {
  (half(dtype) ? avx512bf16::backward : table_avx512.backward)(cell, dtype, p, g, tape, scratch);
}

void math(Function function, Dtype dtype, const void* in, void* out, int64_t n) {
  table_avx512.math(function, dtype, in, out, n);
}

}  // namespace

const Table table_avx512bf16 = {"avx512bf16", avx512bf16::cell_count, avx512bf16::cell_facts, need, forward, backward,
                                math};
}  // namespace rekur
#endif
