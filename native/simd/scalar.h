// The words of the vector vocabulary with one lane: what any machine can run. Included once, inside namespace
// rekur::scalar; <cstring> and <cstdint> are included before. fma is two roundings here, as no baseline has one.

template <class Float, class Bits, int mantissa, int bias>
struct One {
  using T = Float;
  static constexpr bool fused = false;  // fma rounds once
  static constexpr int W = 1;
  static constexpr int rows = 3;
  T r;
  static inline One set(T a) { return {a}; }
  static inline One load(const T* p) { return {*p}; }
  static inline One load_n(const T* p, int n) { return {n > 0 ? *p : T(0)}; }
  inline void store(T* p) const { *p = r; }
  inline void store_n(T* p, int n) const {
    if (n > 0) *p = r;
  }
  static inline One widen(const uint16_t* p) {  // from bfloat16, for float
    const uint32_t bits = uint32_t(*p) << 16;
    One v;
    memcpy(&v.r, &bits, sizeof bits);
    return v;
  }
  static inline One widen_n(const uint16_t* p, int n) { return n > 0 ? widen(p) : One{0}; }
  inline void narrow(uint16_t* p) const {  // to the nearest bfloat16, ties to even; NaN stays NaN
    uint32_t bits;
    memcpy(&bits, &r, sizeof bits);
    *p = r != r ? uint16_t(bits >> 16 | 0x40) : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  inline void narrow_n(uint16_t* p, int n) const {
    if (n > 0) narrow(p);
  }
  friend inline One dot2(One a, One b, One c) {  // c + Σ a·b over the two bfloat16 of a lane
    uint16_t x[2], y[2];
    memcpy(x, &a.r, sizeof x), memcpy(y, &b.r, sizeof y);
    return fma(widen(x + 1), widen(y + 1), fma(widen(x), widen(y), c));
  }
  friend inline One operator+(One a, One b) { return {a.r + b.r}; }
  friend inline One operator-(One a, One b) { return {a.r - b.r}; }
  friend inline One operator*(One a, One b) { return {a.r * b.r}; }
  friend inline One operator/(One a, One b) { return {a.r / b.r}; }
  friend inline One fma(One a, One b, One c) { return {a.r * b.r + c.r}; }
  friend inline One fnma(One a, One b, One c) { return {c.r - a.r * b.r}; }
  friend inline One at_least(One x, One low) { return {x.r < low.r ? low.r : x.r}; }    // NaN x stays NaN
  friend inline One at_most(One x, One high) { return {x.r > high.r ? high.r : x.r}; }  // NaN x stays NaN
  friend inline One where_positive(One x, One a) { return {x.r <= T(0) ? T(0) : a.r}; }
  friend inline void zip(One a, One b, One& low, One& high) { low = a, high = b; }
  friend inline One pow2(One n) {  // 2ⁿ from n + magic (see math-inl.h)
    Bits bits;
    memcpy(&bits, &n.r, sizeof bits);
    bits = (bits << mantissa) + (Bits(bias) << mantissa);
    memcpy(&n.r, &bits, sizeof bits);
    return n;
  }
};

using F32 = One<float, uint32_t, 23, 127>;
using F64 = One<double, uint64_t, 52, 1023>;
