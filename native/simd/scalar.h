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
  friend inline One operator+(One a, One b) { return {a.r + b.r}; }
  friend inline One operator-(One a, One b) { return {a.r - b.r}; }
  friend inline One operator*(One a, One b) { return {a.r * b.r}; }
  friend inline One operator/(One a, One b) { return {a.r / b.r}; }
  friend inline One fma(One a, One b, One c) { return {a.r * b.r + c.r}; }
  friend inline One fnma(One a, One b, One c) { return {c.r - a.r * b.r}; }
  friend inline One at_least(One x, One low) { return {x.r < low.r ? low.r : x.r}; }    // NaN x stays NaN
  friend inline One at_most(One x, One high) { return {x.r > high.r ? high.r : x.r}; }  // NaN x stays NaN
  friend inline One where_positive(One x, One a) { return {x.r <= T(0) ? T(0) : a.r}; }
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
