// The words of the vector vocabulary for AVX2 with FMA. Included once, inside namespace rekur::avx2 and inside
// its target region; <immintrin.h> is included before the region opens.

alignas(32) static const int tail32[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
alignas(32) static const long long tail64[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

struct F32 {
  using T = float;
  static constexpr bool fused = true;  // fma rounds once
  static constexpr int W = 8;
  static constexpr int rows = 3;  // tile rows: 3 rows × 4 vectors are 12 of 16 registers
  __m256 r;
  static inline F32 set(T a) { return {_mm256_set1_ps(a)}; }
  static inline F32 load(const T* p) { return {_mm256_loadu_ps(p)}; }
  static inline F32 load_n(const T* p, int n) { return {_mm256_maskload_ps(p, mask(n))}; }
  inline void store(T* p) const { _mm256_storeu_ps(p, r); }
  inline void store_n(T* p, int n) const { _mm256_maskstore_ps(p, mask(n), r); }
  static inline __m256i mask(int n) { return _mm256_loadu_si256((const __m256i*)(tail32 + 8 - n)); }
  static inline F32 widen(const uint16_t* p) {  // from bfloat16
    const __m128i half = _mm_loadu_si128((const __m128i*)p);
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16))};
  }
  static inline F32 widen_n(const uint16_t* p, int n) {
    uint16_t whole[W] = {};
    memcpy(whole, p, size_t(n) * sizeof *p);
    return widen(whole);
  }
  inline void narrow(uint16_t* p) const {  // to the nearest bfloat16, ties to even; NaN stays NaN
    const __m256i bits = _mm256_castps_si256(r), top = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(r, r, _CMP_UNORD_Q));
    const __m256i all = _mm256_blendv_epi8(_mm256_srli_epi32(up, 16), _mm256_or_si256(top, _mm256_set1_epi32(0x40)), nan);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(all, all), 0x88);
    _mm_storeu_si128((__m128i*)p, _mm256_castsi256_si128(packed));
  }
  inline void narrow_n(uint16_t* p, int n) const {
    uint16_t whole[W];
    narrow(whole);
    memcpy(p, whole, size_t(n) * sizeof *p);
  }
};
static inline F32 operator+(F32 a, F32 b) { return {_mm256_add_ps(a.r, b.r)}; }
static inline F32 operator-(F32 a, F32 b) { return {_mm256_sub_ps(a.r, b.r)}; }
static inline F32 operator*(F32 a, F32 b) { return {_mm256_mul_ps(a.r, b.r)}; }
static inline F32 operator/(F32 a, F32 b) { return {_mm256_div_ps(a.r, b.r)}; }
static inline F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.r, b.r, c.r)}; }    // a·b + c
static inline F32 fnma(F32 a, F32 b, F32 c) { return {_mm256_fnmadd_ps(a.r, b.r, c.r)}; }  // c - a·b
static inline F32 at_least(F32 x, F32 low) { return {_mm256_max_ps(low.r, x.r)}; }         // NaN x stays NaN
static inline F32 at_most(F32 x, F32 high) { return {_mm256_min_ps(high.r, x.r)}; }        // NaN x stays NaN
static inline F32 where_positive(F32 x, F32 a) {                                           // x ≤ 0 ? 0 : a
  return {_mm256_and_ps(_mm256_cmp_ps(x.r, _mm256_setzero_ps(), _CMP_NLE_UQ), a.r)};
}
static inline F32 dot2(F32 a, F32 b, F32 c) {  // c + Σ a·b over the two bfloat16 of each lane
  const __m256 upper = _mm256_castsi256_ps(_mm256_set1_epi32(int(0xffff0000)));
  const F32 low = fma(F32{_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.r), 16))},
                      F32{_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(b.r), 16))}, c);
  return fma(F32{_mm256_and_ps(a.r, upper)}, F32{_mm256_and_ps(b.r, upper)}, low);
}
static inline void zip(F32 a, F32 b, F32& low, F32& high) {  // a0 b0 a1 b1 …, all of it in two vectors
  const __m256 even = _mm256_unpacklo_ps(a.r, b.r), odd = _mm256_unpackhi_ps(a.r, b.r);
  low = {_mm256_permute2f128_ps(even, odd, 0x20)}, high = {_mm256_permute2f128_ps(even, odd, 0x31)};
}
static inline F32 pow2(F32 n) {  // 2ⁿ from n + magic (see math-inl.h)
  const __m256i shifted = _mm256_slli_epi32(_mm256_castps_si256(n.r), 23);
  return {_mm256_castsi256_ps(_mm256_add_epi32(shifted, _mm256_set1_epi32(127 << 23)))};
}

struct F64 {
  using T = double;
  static constexpr bool fused = true;  // fma rounds once
  static constexpr int W = 4;
  static constexpr int rows = 3;
  __m256d r;
  static inline F64 set(T a) { return {_mm256_set1_pd(a)}; }
  static inline F64 load(const T* p) { return {_mm256_loadu_pd(p)}; }
  static inline F64 load_n(const T* p, int n) { return {_mm256_maskload_pd(p, mask(n))}; }
  inline void store(T* p) const { _mm256_storeu_pd(p, r); }
  inline void store_n(T* p, int n) const { _mm256_maskstore_pd(p, mask(n), r); }
  static inline __m256i mask(int n) { return _mm256_loadu_si256((const __m256i*)(tail64 + 4 - n)); }
};
static inline F64 operator+(F64 a, F64 b) { return {_mm256_add_pd(a.r, b.r)}; }
static inline F64 operator-(F64 a, F64 b) { return {_mm256_sub_pd(a.r, b.r)}; }
static inline F64 operator*(F64 a, F64 b) { return {_mm256_mul_pd(a.r, b.r)}; }
static inline F64 operator/(F64 a, F64 b) { return {_mm256_div_pd(a.r, b.r)}; }
static inline F64 fma(F64 a, F64 b, F64 c) { return {_mm256_fmadd_pd(a.r, b.r, c.r)}; }
static inline F64 fnma(F64 a, F64 b, F64 c) { return {_mm256_fnmadd_pd(a.r, b.r, c.r)}; }
static inline F64 at_least(F64 x, F64 low) { return {_mm256_max_pd(low.r, x.r)}; }
static inline F64 at_most(F64 x, F64 high) { return {_mm256_min_pd(high.r, x.r)}; }
static inline F64 where_positive(F64 x, F64 a) {
  return {_mm256_and_pd(_mm256_cmp_pd(x.r, _mm256_setzero_pd(), _CMP_NLE_UQ), a.r)};
}
static inline void zip(F64 a, F64 b, F64& low, F64& high) {
  const __m256d even = _mm256_unpacklo_pd(a.r, b.r), odd = _mm256_unpackhi_pd(a.r, b.r);
  low = {_mm256_permute2f128_pd(even, odd, 0x20)}, high = {_mm256_permute2f128_pd(even, odd, 0x31)};
}
static inline F64 pow2(F64 n) {
  const __m256i shifted = _mm256_slli_epi64(_mm256_castpd_si256(n.r), 52);
  return {_mm256_castsi256_pd(_mm256_add_epi64(shifted, _mm256_set1_epi64x(1023LL << 52)))};
}
