// How numbers lie in memory: the vectors V that compute, the numbers S that are stored (x, y, tape, gate gradients),
// and the groups P of `depth` neighbours that one multiply-add of the micro-kernel takes.
//
// get, put    a vector from and to stored numbers; the _n forms touch only the first n lanes
// narrow      one number as it is stored
// spread      one group in all lanes; panel: one group a lane
// dot         c + Σ a·b over the group of each lane

// Everything in the type that computes.
template <class Vector>
struct Plain {
  using V = Vector;
  using T = typename V::T;
  using S = T;
  using P = T;
  static constexpr int depth = 1;
  static inline V get(const S* p) { return V::load(p); }
  static inline V get_n(const S* p, int n) { return V::load_n(p, n); }
  static inline void put(V v, S* p) { v.store(p); }
  static inline void put_n(V v, S* p, int n) { v.store_n(p, n); }
  static inline S narrow(T a) { return a; }
  static inline V spread(const P* p) { return V::set(*p); }
  static inline V panel(const P* p) { return V::load(p); }
  static inline V dot(V a, V b, V c) { return fma(a, b, c); }
};

// Stored as bfloat16, the upper half of a float rounded to nearest even; computed, summed and carried in float.
struct Half {
  using V = F32;
  using T = float;
  using S = uint16_t;
  using P = uint32_t;  // two neighbours, the first one low
  static constexpr int depth = 2;
  static inline V get(const S* p) { return V::widen(p); }
  static inline V get_n(const S* p, int n) { return V::widen_n(p, n); }
  static inline void put(V v, S* p) { v.narrow(p); }
  static inline void put_n(V v, S* p, int n) { v.narrow_n(p, n); }
  static inline S narrow(T a) {
    uint32_t bits;
    memcpy(&bits, &a, sizeof bits);
    return a != a ? S(bits >> 16 | 0x40) : S((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  static inline V spread(const P* p) {
    float bits;
    memcpy(&bits, p, sizeof bits);
    return V::set(bits);
  }
  static inline V panel(const P* p) { return V::load((const T*)p); }
  static inline V dot(V a, V b, V c) { return dot2(a, b, c); }
};

// v with zeros from lane `left` on. Where no unit is, an infinite x leaves NaN, and NaN times a weight of zero is NaN.
template <class V>
static inline V cut(V v, int64_t left) {
  if (left >= V::W) return v;
  typename V::T lanes[V::W];
  v.store(lanes);
  return V::load_n(lanes, int(left));
}

template <class Format>
static inline typename Format::V get_tail(const typename Format::S* p, int64_t left) {
  using V = typename Format::V;
  return left >= V::W ? Format::get(p) : Format::get_n(p, int(left));
}

template <class Format>
static inline void put_tail(typename Format::V v, typename Format::S* p, int64_t left) {
  if (left >= Format::V::W) {
    Format::put(v, p);
  } else {
    Format::put_n(v, p, int(left));
  }
}
