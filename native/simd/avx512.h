// The words of the vector vocabulary for AVX-512 (f, dq, bw, vl). Included once, inside namespace rekur::avx512
// and inside its target region; <immintrin.h> is included before the region opens.

struct F32 {
  using T = float;
  static constexpr bool fused = true;  // fma rounds once
  static constexpr int W = 16;    // lanes
  static constexpr int rows = 6;  // tile rows: 6 rows × 4 vectors are 24 of 32 registers
  __m512 r;
  static inline F32 set(T a) { return {_mm512_set1_ps(a)}; }
  static inline F32 load(const T* p) { return {_mm512_loadu_ps(p)}; }
  static inline F32 load_n(const T* p, int n) { return {_mm512_maskz_loadu_ps(mask(n), p)}; }
  inline void store(T* p) const { _mm512_storeu_ps(p, r); }
  inline void store_n(T* p, int n) const { _mm512_mask_storeu_ps(p, mask(n), r); }
  static inline __mmask16 mask(int n) { return __mmask16((1u << n) - 1u); }
};
static inline F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.r, b.r)}; }
static inline F32 operator-(F32 a, F32 b) { return {_mm512_sub_ps(a.r, b.r)}; }
static inline F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.r, b.r)}; }
static inline F32 operator/(F32 a, F32 b) { return {_mm512_div_ps(a.r, b.r)}; }
static inline F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.r, b.r, c.r)}; }    // a·b + c
static inline F32 fnma(F32 a, F32 b, F32 c) { return {_mm512_fnmadd_ps(a.r, b.r, c.r)}; }  // c - a·b
static inline F32 at_least(F32 x, F32 low) { return {_mm512_max_ps(low.r, x.r)}; }         // NaN x stays NaN
static inline F32 at_most(F32 x, F32 high) { return {_mm512_min_ps(high.r, x.r)}; }        // NaN x stays NaN
static inline F32 where_positive(F32 x, F32 a) {                                           // x ≤ 0 ? 0 : a
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.r, _mm512_setzero_ps(), _CMP_NLE_UQ), a.r)};
}
static inline F32 pow2(F32 n) {  // 2ⁿ from n + magic (see math-inl.h)
  const __m512i shifted = _mm512_slli_epi32(_mm512_castps_si512(n.r), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(shifted, _mm512_set1_epi32(127 << 23)))};
}

struct F64 {
  using T = double;
  static constexpr bool fused = true;  // fma rounds once
  static constexpr int W = 8;
  static constexpr int rows = 6;
  __m512d r;
  static inline F64 set(T a) { return {_mm512_set1_pd(a)}; }
  static inline F64 load(const T* p) { return {_mm512_loadu_pd(p)}; }
  static inline F64 load_n(const T* p, int n) { return {_mm512_maskz_loadu_pd(mask(n), p)}; }
  inline void store(T* p) const { _mm512_storeu_pd(p, r); }
  inline void store_n(T* p, int n) const { _mm512_mask_storeu_pd(p, mask(n), r); }
  static inline __mmask8 mask(int n) { return __mmask8((1u << n) - 1u); }
};
static inline F64 operator+(F64 a, F64 b) { return {_mm512_add_pd(a.r, b.r)}; }
static inline F64 operator-(F64 a, F64 b) { return {_mm512_sub_pd(a.r, b.r)}; }
static inline F64 operator*(F64 a, F64 b) { return {_mm512_mul_pd(a.r, b.r)}; }
static inline F64 operator/(F64 a, F64 b) { return {_mm512_div_pd(a.r, b.r)}; }
static inline F64 fma(F64 a, F64 b, F64 c) { return {_mm512_fmadd_pd(a.r, b.r, c.r)}; }
static inline F64 fnma(F64 a, F64 b, F64 c) { return {_mm512_fnmadd_pd(a.r, b.r, c.r)}; }
static inline F64 at_least(F64 x, F64 low) { return {_mm512_max_pd(low.r, x.r)}; }
static inline F64 at_most(F64 x, F64 high) { return {_mm512_min_pd(high.r, x.r)}; }
static inline F64 where_positive(F64 x, F64 a) {
  return {_mm512_maskz_mov_pd(_mm512_cmp_pd_mask(x.r, _mm512_setzero_pd(), _CMP_NLE_UQ), a.r)};
}
static inline F64 pow2(F64 n) {
  const __m512i shifted = _mm512_slli_epi64(_mm512_castpd_si512(n.r), 52);
  return {_mm512_castsi512_pd(_mm512_add_epi64(shifted, _mm512_set1_epi64(1023LL << 52)))};
}
