// The sizes every part of a target agrees on, and small helpers over rows.

template <class Cell, class V>
struct Shape {
  using T = typename V::T;
  using F = Facts<Cell>;
  int64_t B, steps, I, H;
  int64_t vectors, Hp;  // vectors of units, and units padded to whole vectors
  int64_t blocks;       // blocks of F::unit_vectors vectors; the last one may hold fewer
  explicit Shape(const Problem& p)
      : B(p.B), steps(p.T), I(p.I), H(p.H), vectors((p.H + V::W - 1) / V::W), Hp(vectors * V::W),
        blocks((vectors + F::unit_vectors - 1) / F::unit_vectors) {}
  int block_vectors(int64_t j) const {
    const int64_t left = vectors - j * F::unit_vectors;
    return int(left < F::unit_vectors ? left : F::unit_vectors);
  }
  // The tape: the states before every step and after the last, (S)(T + 1)(B)(Hp), then the values the derivative
  // needs, (T)(blocks)(B)(kept)(unit_vectors · W), so that a tile of rows writes and reads them in one stream.
  static constexpr int64_t kept_row = int64_t(Cell::kept) * F::unit_vectors * V::W;
  int64_t state_at(int i, int64_t s, int64_t r) const { return ((i * (steps + 1) + s) * B + r) * Hp; }
  int64_t kept_at(int64_t s, int64_t j, int64_t r) const {
    return state_at(Cell::states, 0, 0) + ((s * blocks + j) * B + r) * kept_row;
  }
  size_t tape_bytes() const { return size_t(kept_at(steps, 0, 0)) * sizeof(T); }
};

// Hands out consecutive pieces of one buffer, each on a cache line of its own; with a null base it only counts.
struct Carver {
  char* base;
  size_t used;
  template <class T>
  T* take(int64_t n) {
    T* piece = base ? (T*)(base + used) : nullptr;
    used += (size_t(n) * sizeof(T) + 63) / 64 * 64;
    return piece;
  }
};

template <class V>
static inline V load_tail(const typename V::T* p, int64_t left) {
  return left >= V::W ? V::load(p) : V::load_n(p, int(left));
}

template <class V>
static inline void store_tail(V v, typename V::T* p, int64_t left) {
  if (left >= V::W) {
    v.store(p);
  } else {
    v.store_n(p, int(left));
  }
}

// Ask for the cache line at p: for the first cache, to be written soon, or for the second, to be read in the next step.
static inline void expect_write(const void* p) { __builtin_prefetch(p, 1, 3); }
static inline void expect_read(const void* p) { __builtin_prefetch(p, 0, 2); }
static inline void expect_now(const void* p) { __builtin_prefetch(p, 0, 3); }

// The time step a row of this length is at in step s of its walk.
static inline int64_t time_of(const Problem& p, int64_t s, int64_t length) { return p.reverse ? length - 1 - s : s; }

// dst (padded to Hp with zeros) from src (H), which may be null for zeros.
template <class T>
static inline void copy_padded(T* dst, const T* src, int64_t H, int64_t Hp) {
  for (int64_t u = 0; u < H; ++u) dst[u] = src ? src[u] : T(0);
  for (int64_t u = H; u < Hp; ++u) dst[u] = T(0);
}

// First row of a worker's slice, so that every slice holds about the same number of steps.
static inline int64_t slice_start(const Problem& p, int rank, int size) {
  if (rank >= size) return p.B;
  const int64_t total = p.rows.first[p.T];
  int64_t r = 0;
  for (int64_t sum = 0; r < p.B && sum * size < total * rank; ++r) sum += p.rows.length[r];
  return r;
}
