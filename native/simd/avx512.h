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
  static inline F32 widen(__m256i half) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16))};
  }
  static inline F32 widen(const uint16_t* p);  // from bfloat16
  static inline F32 widen_n(const uint16_t* p, int n);
  inline void narrow(uint16_t* p) const;  // to bfloat16
  inline void narrow_n(uint16_t* p, int n) const;
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
#ifdef REKUR_BF16_ONLY
static inline __m256i rounded(F32 a) { return (__m256i)_mm512_cvtneps_pbh(a.r); }
static inline F32 dot2(F32 a, F32 b, F32 c) { return {_mm512_dpbf16_ps(c.r, (__m512bh)a.r, (__m512bh)b.r)}; }
#else
static inline __m256i rounded(F32 a) {  // to the nearest bfloat16, ties to even; NaN stays NaN
  const __m512i bits = _mm512_castps_si512(a.r), top = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
  const __m512i near = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff)), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(a.r, a.r, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(near, nan, top, _mm512_set1_epi32(0x40)));
}
static inline F32 dot2(F32 a, F32 b, F32 c) {  // c + Σ a·b over the two bfloat16 of each lane
  const __m512i upper = _mm512_set1_epi32(int(0xffff0000));
  const __m512i x = _mm512_castps_si512(a.r), y = _mm512_castps_si512(b.r);
  const F32 low = fma(F32{_mm512_castsi512_ps(_mm512_slli_epi32(x, 16))},
                      F32{_mm512_castsi512_ps(_mm512_slli_epi32(y, 16))}, c);
  return fma(F32{_mm512_castsi512_ps(_mm512_and_si512(x, upper))},
             F32{_mm512_castsi512_ps(_mm512_and_si512(y, upper))}, low);
}
#endif
inline F32 F32::widen(const uint16_t* p) { return widen(_mm256_loadu_si256((const __m256i*)p)); }
inline F32 F32::widen_n(const uint16_t* p, int n) { return widen(_mm256_maskz_loadu_epi16(mask(n), p)); }
inline void F32::narrow(uint16_t* p) const { _mm256_storeu_si256((__m256i*)p, rounded(*this)); }
inline void F32::narrow_n(uint16_t* p, int n) const { _mm256_mask_storeu_epi16(p, mask(n), rounded(*this)); }
static inline void zip(F32 a, F32 b, F32& low, F32& high) {  // a0 b0 a1 b1 …, all of it in two vectors
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  low = {_mm512_permutex2var_ps(a.r, first, b.r)};
  high = {_mm512_permutex2var_ps(a.r, _mm512_add_epi32(first, _mm512_set1_epi32(8)), b.r)};
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
static inline void zip(F64 a, F64 b, F64& low, F64& high) {
  const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  low = {_mm512_permutex2var_pd(a.r, first, b.r)};
  high = {_mm512_permutex2var_pd(a.r, _mm512_add_epi64(first, _mm512_set1_epi64(4)), b.r)};
}
static inline F64 pow2(F64 n) {
  const __m512i shifted = _mm512_slli_epi64(_mm512_castpd_si512(n.r), 52);
  return {_mm512_castsi512_pd(_mm512_add_epi64(shifted, _mm512_set1_epi64(1023LL << 52)))};
}
