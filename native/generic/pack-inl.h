// From the weights of the caller to the panels of the micro-kernel, and from sums back to the weights: blocks of W × W
// numbers transposed in registers.

template <class V>
static REKUR_INLINE void transpose(V (&r)[V::W]) {
#pragma GCC unroll 8
  for (int step = 1; step < V::W; step *= 2) {  // rotates the bits of (row, lane) by one
    V t[V::W];
#pragma GCC unroll 16
    for (int i = 0; i < V::W / 2; ++i) zip(r[i], r[i + V::W / 2], t[2 * i], t[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < V::W; ++i) r[i] = t[i];
  }
}

// The first `left` numbers at p, and zeros; `left` may be above W or below 0.
template <class V>
static inline V get_some(const typename V::T* p, int64_t left) {
  return left >= V::W ? V::load(p) : left > 0 ? V::load_n(p, int(left)) : V::set(0);
}

// to (n,) from a and b (n,) in pairs, or from a and zero.
template <class P, class S>
static void pair_row(P* to, const S* a, const S* b, int64_t n, bool two) {
  const P mask = two ? ~P(0) : P(0);
  for (int64_t i = 0; i < n; ++i) to[i] = P(a[i]) | (P(b[i]) << 16 & mask);
}

// One group for each lane, W in all: from `depth` vectors, a number of each.
template <class Format>
static REKUR_INLINE void put_groups(const typename Format::V* r, typename Format::P* to) {
  constexpr int W = Format::V::W;
  if constexpr (Format::depth == 1) {
    r[0].store(to);
  } else {
    typename Format::S a[W], b[W];
    Format::put(r[0], a), Format::put(r[1], b);
    pair_row(to, a, b, W, true);
  }
}

// Whether every worker packs the weights for itself, which takes as long as some forty steps of a row: where there are
// many more steps it costs less than to read what another core has packed.
static inline bool packs_alone(const Problem& p) { return p.B * p.T >= int64_t(p.threads) * 500; }

// The gates of one product as a panel: for one block, for every group of k, the parts side by side, each `vectors` wide.
//   panel   out  (⌈size/depth⌉)(parts · vectors · W) groups, zero where a unit or a k does not exist
//   weight  in   (G·H, size) contiguous
//   gate    in   (parts,) the gate that feeds each part
template <class Format>
static void pack_gates(typename Format::P* panel, const typename Format::T* weight, int64_t size, int64_t H,
                       const int* gate, int parts, int vectors, int64_t block) {
  using V = typename Format::V;
  constexpr int W = V::W, depth = Format::depth, side = W > depth ? W : depth;
  const int64_t columns = int64_t(parts) * vectors * W;
  for (int i = 0; i < parts * vectors; ++i) {
    const int64_t unit = block + i % vectors * W, units = H - unit;
    const typename Format::T* from = weight + (gate[i / vectors] * H + unit) * size;
    for (int64_t k = 0; k < size; k += side) {
      V r[side];
      for (int j = 0; j < side; j += W) {
        V square[W];
        for (int u = 0; u < W; ++u) square[u] = u < units ? get_some<V>(from + u * size + k + j, size - k - j) : V::set(0);
        transpose(square);
        for (int u = 0; u < W; ++u) r[j + u] = square[u];
      }
      typename Format::P* to = panel + k / depth * columns + i * W;
      for (int j = 0; j < side && k + j < size; j += depth) put_groups<Format>(r + j, to + j / depth * columns);
    }
  }
}

// A slice of columns of a weight as a panel for the products with gate gradients, k over (parts, units).
//   panel   out  (parts · Hp / depth)(vectors · W) groups, zero where a unit or a column does not exist
//   weight  in   (G·H, size) contiguous; columns `start` … are taken
template <class Format>
static void pack_columns(typename Format::P* panel, const typename Format::T* weight, int64_t size, int64_t H,
                         int64_t Hp, const int* gate, int parts, int vectors, int64_t start) {
  using V = typename Format::V;
  constexpr int depth = Format::depth;
  for (int64_t k = 0; k < parts * Hp; k += depth) {
    for (int v = 0; v < vectors; ++v) {
      V r[depth];
      for (int d = 0; d < depth; ++d) {
        const int64_t unit = (k + d) % Hp, column = start + v * V::W;
        const typename Format::T* row = weight + (gate[k / Hp] * H + unit) * size;
        r[d] = get_some<V>(row + column, unit < H ? size - column : 0);
      }
      put_groups<Format>(r, panel + (k / depth * vectors + v) * V::W);
    }
  }
}

// Rows `unit` … unit+W-1 of a weight (H, size) from the sums (size, sum_row), where they are columns.
template <class V>
static void unpack_units(typename V::T* weight, const typename V::T* sums, int64_t sum_row, int64_t size, int64_t H,
                         int64_t unit) {
  for (int64_t k = 0; k < size; k += V::W) {
    V r[V::W];
    for (int i = 0; i < V::W; ++i) r[i] = k + i < size ? V::load(sums + (k + i) * sum_row + unit) : V::set(0);
    transpose(r);
    for (int u = 0; u < V::W && unit + u < H; ++u) put_tail<Plain<V>>(r[u], weight + (unit + u) * size + k, size - k);
  }
}
