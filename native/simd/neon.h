// The words of the vector vocabulary for NEON on aarch64, where it is the baseline. Included once, inside
// namespace rekur::neon; <arm_neon.h> is included before. Not yet run on a machine.

struct F32 {
  using T = float;
  static constexpr bool fused = true;  // fma rounds once
  static constexpr int W = 4;
  static constexpr int rows = 5;  // tile rows: 5 rows × 4 vectors are 20 of 32 registers
  float32x4_t r;
  static inline F32 set(T a) { return {vdupq_n_f32(a)}; }
  static inline F32 load(const T* p) { return {vld1q_f32(p)}; }
  static inline F32 load_n(const T* p, int n) {
    T v[W] = {0, 0, 0, 0};
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return load(v);
  }
  inline void store(T* p) const { vst1q_f32(p, r); }
  inline void store_n(T* p, int n) const {
    T v[W];
    store(v);
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
  static inline F32 widen(const uint16_t* p) {  // from bfloat16
    return {vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16))};
  }
  static inline F32 widen_n(const uint16_t* p, int n) {
    uint16_t whole[W] = {0, 0, 0, 0};
    for (int i = 0; i < n; ++i) whole[i] = p[i];
    return widen(whole);
  }
  inline void narrow(uint16_t* p) const {  // to the nearest bfloat16, ties to even; NaN stays NaN
    const uint32x4_t bits = vreinterpretq_u32_f32(r), top = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(top, vdupq_n_u32(1));
    const uint32x4_t near = vshrq_n_u32(vaddq_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7fff)), 16);
    vst1_u16(p, vmovn_u32(vbslq_u32(vceqq_f32(r, r), near, vorrq_u32(top, vdupq_n_u32(0x40)))));
  }
  inline void narrow_n(uint16_t* p, int n) const {
    uint16_t whole[W];
    narrow(whole);
    for (int i = 0; i < n; ++i) p[i] = whole[i];
  }
};
static inline F32 operator+(F32 a, F32 b) { return {vaddq_f32(a.r, b.r)}; }
static inline F32 operator-(F32 a, F32 b) { return {vsubq_f32(a.r, b.r)}; }
static inline F32 operator*(F32 a, F32 b) { return {vmulq_f32(a.r, b.r)}; }
static inline F32 operator/(F32 a, F32 b) { return {vdivq_f32(a.r, b.r)}; }
static inline F32 fma(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.r, a.r, b.r)}; }    // a·b + c
static inline F32 fnma(F32 a, F32 b, F32 c) { return {vfmsq_f32(c.r, a.r, b.r)}; }   // c - a·b
static inline F32 at_least(F32 x, F32 low) { return {vmaxq_f32(x.r, low.r)}; }       // NaN x stays NaN
static inline F32 at_most(F32 x, F32 high) { return {vminq_f32(x.r, high.r)}; }      // NaN x stays NaN
static inline F32 where_positive(F32 x, F32 a) {                                     // x ≤ 0 ? 0 : a
  return {vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(a.r), vcleq_f32(x.r, vdupq_n_f32(0))))};
}
static inline F32 dot2(F32 a, F32 b, F32 c) {  // c + Σ a·b over the two bfloat16 of each lane
  const uint32x4_t upper = vdupq_n_u32(0xffff0000u), x = vreinterpretq_u32_f32(a.r), y = vreinterpretq_u32_f32(b.r);
  const F32 low = fma(F32{vreinterpretq_f32_u32(vshlq_n_u32(x, 16))}, F32{vreinterpretq_f32_u32(vshlq_n_u32(y, 16))}, c);
  return fma(F32{vreinterpretq_f32_u32(vandq_u32(x, upper))}, F32{vreinterpretq_f32_u32(vandq_u32(y, upper))}, low);
}
static inline void zip(F32 a, F32 b, F32& low, F32& high) {  // a0 b0 a1 b1 …, all of it in two vectors
  low = {vzip1q_f32(a.r, b.r)}, high = {vzip2q_f32(a.r, b.r)};
}
static inline F32 pow2(F32 n) {  // 2ⁿ from n + magic (see math-inl.h)
  const int32x4_t shifted = vshlq_n_s32(vreinterpretq_s32_f32(n.r), 23);
  return {vreinterpretq_f32_s32(vaddq_s32(shifted, vdupq_n_s32(127 << 23)))};
}

struct F64 {
  using T = double;
  static constexpr bool fused = true;  // fma rounds once
  static constexpr int W = 2;
  static constexpr int rows = 5;
  float64x2_t r;
  static inline F64 set(T a) { return {vdupq_n_f64(a)}; }
  static inline F64 load(const T* p) { return {vld1q_f64(p)}; }
  static inline F64 load_n(const T* p, int n) {
    T v[W] = {0, 0};
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return load(v);
  }
  inline void store(T* p) const { vst1q_f64(p, r); }
  inline void store_n(T* p, int n) const {
    T v[W];
    store(v);
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
};
static inline F64 operator+(F64 a, F64 b) { return {vaddq_f64(a.r, b.r)}; }
static inline F64 operator-(F64 a, F64 b) { return {vsubq_f64(a.r, b.r)}; }
static inline F64 operator*(F64 a, F64 b) { return {vmulq_f64(a.r, b.r)}; }
static inline F64 operator/(F64 a, F64 b) { return {vdivq_f64(a.r, b.r)}; }
static inline F64 fma(F64 a, F64 b, F64 c) { return {vfmaq_f64(c.r, a.r, b.r)}; }
static inline F64 fnma(F64 a, F64 b, F64 c) { return {vfmsq_f64(c.r, a.r, b.r)}; }
static inline F64 at_least(F64 x, F64 low) { return {vmaxq_f64(x.r, low.r)}; }
static inline F64 at_most(F64 x, F64 high) { return {vminq_f64(x.r, high.r)}; }
static inline F64 where_positive(F64 x, F64 a) {
  return {vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(a.r), vcleq_f64(x.r, vdupq_n_f64(0))))};
}
static inline void zip(F64 a, F64 b, F64& low, F64& high) {
  low = {vzip1q_f64(a.r, b.r)}, high = {vzip2q_f64(a.r, b.r)};
}
static inline F64 pow2(F64 n) {
  const int64x2_t shifted = vshlq_n_s64(vreinterpretq_s64_f64(n.r), 52);
  return {vreinterpretq_f64_s64(vaddq_s64(shifted, vdupq_n_s64(1023LL << 52)))};
}
