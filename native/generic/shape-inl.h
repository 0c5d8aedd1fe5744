// The sizes every part of a target agrees on, and small helpers over rows.

template <class Cell, class Format>
struct Shape {
  using V = typename Format::V;
  using T = typename Format::T;
  using S = typename Format::S;
  static constexpr int depth = Format::depth, lanes = V::W > depth ? V::W : depth;
  int64_t B, steps, I, H;
  int64_t Ip;           // inputs padded to whole groups
  int64_t vectors, Hp;  // vectors of units, and units padded to whole vectors and groups
  int64_t slabs;        // 2 if states may be reset between one step and the next, else 1
  explicit Shape(const Problem& p)
      : B(p.B), steps(p.T), I(p.I), H(p.H), Ip((I + depth - 1) / depth * depth),
        vectors((H + lanes - 1) / lanes * lanes / V::W), Hp(vectors * V::W), slabs(p.resets ? 2 : 1) {}
  int64_t h_groups() const { return (H + depth - 1) / depth; }
  // The tape: the states before every step and after the last (with resets: before and after every step),
  // (S)(slabs · T + 1)(B)(Hp), then the values the derivative needs, (T)(vectors)(B)(kept)(W), so that a tile of rows
  // writes and reads them in one stream.
  static constexpr int64_t kept_row = int64_t(Cell::kept) * V::W;
  int64_t slab_at(int i, int64_t slab, int64_t r) const { return ((i * (slabs * steps + 1) + slab) * B + r) * Hp; }
  int64_t before_at(int i, int64_t s, int64_t r) const { return slab_at(i, slabs * s, r); }
  int64_t after_at(int i, int64_t s, int64_t r) const { return slab_at(i, slabs * s + 1, r); }
  int64_t kept_at(int64_t s, int64_t v, int64_t r) const {
    return slab_at(Cell::states, 0, 0) + ((s * vectors + v) * B + r) * kept_row;
  }
  size_t tape_bytes() const { return size_t(kept_at(steps, 0, 0)) * sizeof(S); }
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

// Ask for the cache line at p: for the first cache, to be written soon, or for the second, to be read in the next step.
static inline void expect_write(const void* p) { __builtin_prefetch(p, 1, 3); }
static inline void expect_read(const void* p) { __builtin_prefetch(p, 0, 2); }
static inline void expect_now(const void* p) { __builtin_prefetch(p, 0, 3); }

// The time step a row of this length is at in step s of its walk.
static inline int64_t time_of(const Problem& p, int64_t s, int64_t length) { return p.reverse ? length - 1 - s : s; }

// Whether the states of a row (its place in the order) are set to zero before step s of its walk.
static inline bool is_reset(const Problem& p, int64_t s, int64_t r) {
  const int64_t t = time_of(p, s, p.rows.length[r]);
  return p.resets && p.resets[p.rows.order[r] * p.resets_batch + t * p.resets_time];
}

// dst (padded to Hp with zeros) from src (H), which may be null for zeros.
template <class T>
static inline void copy_padded(T* dst, const T* src, int64_t H, int64_t Hp) {
  for (int64_t u = 0; u < H; ++u) dst[u] = src ? src[u] : T(0);
  for (int64_t u = H; u < Hp; ++u) dst[u] = T(0);
}

// First row of the slice `rank` of the rows r0 … r1-1, so that every slice holds about the same number of steps.
static inline int64_t slice_start(const Problem& p, int64_t r0, int64_t r1, int rank, int size) {
  if (rank >= size) return r1;
  int64_t total = 0, sum = 0, r = r0;
  for (int64_t i = r0; i < r1; ++i) total += p.rows.length[i];
  for (; r < r1 && sum * size < total * rank; ++r) sum += p.rows.length[r];
  return r;
}
