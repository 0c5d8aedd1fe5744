// The one micro-kernel of all products.
//
// A panel holds, for every k, `count` vectors side by side, so that one k costs `count` loads of the panel and one
// broadcast for each of the M rows. Sums run over k in order, alone for each row: no result depends on M.

#define REKUR_INLINE inline __attribute__((always_inline))
#define REKUR_APART __attribute__((noinline))

// acc[m][first + v] += Σ_k a[m][k·a_step] · panel[k·p_step + v·W], k over groups
template <class Format, int M, int N, int first, int count>
static REKUR_INLINE void accumulate(typename Format::V (&acc)[M][N], const typename Format::P* const* rows,
                                    int64_t a_step, const typename Format::P* panel, int64_t p_step, int64_t size) {
  using V = typename Format::V;
  const typename Format::P* a[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) a[m] = rows[m];
#pragma GCC unroll 1
  for (int64_t k = 0; k < size; ++k) {
    V p[count];
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) p[v] = Format::panel(panel + v * V::W);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const V b = Format::spread(a[m] + k * a_step);
#pragma GCC unroll 8
      for (int v = 0; v < count; ++v) acc[m][first + v] = Format::dot(b, p[v], acc[m][first + v]);
    }
    panel += p_step;
  }
}

// The same for one row and two panels, the second `next` behind the first: sums that do not wait for each other.
template <class Format, int N, int first, int count>
static REKUR_INLINE void accumulate_two(typename Format::V (&acc)[2][N], const typename Format::P* a,
                                        const typename Format::P* panel, int64_t next, int64_t size) {
  using V = typename Format::V;
#pragma GCC unroll 1
  for (int64_t k = 0; k < size; ++k) {
    const V b = Format::spread(a + k);
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) {
      acc[0][first + v] = Format::dot(b, Format::panel(panel + v * V::W), acc[0][first + v]);
      acc[1][first + v] = Format::dot(b, Format::panel(panel + next + v * V::W), acc[1][first + v]);
    }
    panel += count * V::W;
  }
}

// One product of M rows with a panel of N vectors.
//   a      in   row m starts at a + m·a_row, its k-th group lies a_step·k further
//   panel  in   (size, N·W) groups, p_step groups from one k to the next
//   out    out  row m starts at out + m·out_row, N·W elements; with `add` it is added to; aliases nothing
template <class Format>
struct Product {
  const typename Format::P* a;
  int64_t a_row, a_step;
  const typename Format::P* panel;
  int64_t p_step, size;
  typename Format::T* out;
  int64_t out_row;
  bool add;
};

template <class Format, int M, int N>
static void product_tile(const Product<Format>& p) {
  using V = typename Format::V;
  const typename Format::P* rows[M];
  V acc[M][N];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    rows[m] = p.a + m * p.a_row;
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) acc[m][v] = V::set(0);
  }
  accumulate<Format, M, N, 0, N>(acc, rows, p.a_step, p.panel, p.p_step, p.size);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      typename Format::T* out = p.out + m * p.out_row + v * V::W;
      (p.add ? V::load(out) + acc[m][v] : acc[m][v]).store(out);
    }
  }
}

template <class Format, int M>
static void product_vectors(int n, const Product<Format>& p) {
  switch (n) {
    case 1: return product_tile<Format, M, 1>(p);
    case 2: return product_tile<Format, M, 2>(p);
    case 3: return product_tile<Format, M, 3>(p);
    default: return product_tile<Format, M, 4>(p);
  }
}

// m rows (1 … V::rows), n vectors (1 … 4).
template <class Format, int M = Format::V::rows>
static void product(int m, int n, const Product<Format>& p) {
  if constexpr (M > 1) {
    if (m < M) return product<Format, M - 1>(m, n, p);
  }
  product_vectors<Format, M>(n, p);
}

// The sums of a step for M rows and N vectors: the bias, then x times one panel, then h times another. All vectors see
// both but for `apart` ones: the first of them see x alone, the last h alone.
//   x       in   (M,) rows of x_size groups
//   h       in   row m starts at h + m·h_row, h_size groups
//   panels  in   (x_size or h_row, (N - apart)·W) groups
//   bias    in   (N·W,)
//   out     out  row m starts at out + m·4·W, N·W elements; aliases nothing
template <class Format>
struct Sums {
  const typename Format::P *const *x, *h, *panel_x, *panel_h;
  int64_t x_size, h_size, h_row;
  const typename Format::T* bias;
  typename Format::T* out;
};

template <class Format, int M, int N, int apart>
static void sums_tile(const Sums<Format>& p) {
  using V = typename Format::V;
  constexpr int count = N - apart;
  const typename Format::P* h[M];
  V acc[M][N];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    h[m] = p.h + m * p.h_row;
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) acc[m][v] = V::load(p.bias + v * V::W);
  }
  accumulate<Format, M, N, 0, count>(acc, p.x, 1, p.panel_x, count * V::W, p.x_size);
  accumulate<Format, M, N, apart, count>(acc, h, 1, p.panel_h, count * V::W, p.h_size);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) acc[m][v].store(p.out + (4 * m + v) * V::W);
  }
}

// m rows (1 … V::rows), n vectors (1 … 4, and 4 if some are apart).
template <class Format, int apart, int M = Format::V::rows>
static void sums(int m, int n, const Sums<Format>& p) {
  if constexpr (M > 1) {
    if (m < M) return sums<Format, apart, M - 1>(m, n, p);
  }
  if constexpr (apart == 0) {
    switch (n) {
      case 1: return sums_tile<Format, M, 1, 0>(p);
      case 2: return sums_tile<Format, M, 2, 0>(p);
      case 3: return sums_tile<Format, M, 3, 0>(p);
      default: break;
    }
  }
  sums_tile<Format, M, 4, apart>(p);
}

// The same for one row and two blocks of four vectors, whose sums lie 4·W apart.
template <class Format, int apart>
static REKUR_APART void sums_two(const Sums<Format>& p) {
  using V = typename Format::V;
  constexpr int N = 4, count = N - apart;
  V acc[2][N];
#pragma GCC unroll 8
  for (int v = 0; v < 2 * N; ++v) acc[v / N][v % N] = V::load(p.bias + v * V::W);
  accumulate_two<Format, N, 0, count>(acc, *p.x, p.panel_x, p.x_size * count * V::W, p.x_size);
  accumulate_two<Format, N, apart, count>(acc, p.h, p.panel_h, p.h_row * count * V::W, p.h_size);
#pragma GCC unroll 8
  for (int v = 0; v < 2 * N; ++v) acc[v / N][v % N].store(p.out + v * V::W);
}

// A division of `all` rows into as few tiles of at most `most` as can be, which are as even as they can be.
struct Even {
  int count, least, larger;
  Even(int all, int most) : count((all + most - 1) / most), least(count ? all / count : 0), larger(all - least * count) {}
  int size(int tile) const { return least + (tile < larger); }
};

// How many rows the next tile takes of `left` (below 2³¹: short divisions), so that tiles are as even as they can be.
template <class V>
static inline int tile_rows(int64_t left) {
  if (left <= V::rows) return int(left);
  const uint32_t rows = uint32_t(left), tiles = (rows + V::rows - 1) / V::rows;
  return int((rows + tiles - 1) / tiles);
}

// How many of `vectors` vectors the j-th group of four holds.
static inline int group(int64_t vectors, int64_t j) { return int(vectors - 4 * j < 4 ? vectors - 4 * j : 4); }

// A contiguous share of 0 … n for one worker.
static inline int64_t share(int64_t n, int rank, int size) { return n * rank / size; }

// A worker's share of several large products: of their tiles, counted by `next`, those from `mine` to `end`-1.
struct Tiles {
  int64_t mine, end, next;
};

// How many tiles a product of `rows` rows with a panel of `vectors` vectors has.
template <class V>
static inline int64_t tiles_of(int64_t rows, int64_t vectors) {
  return (rows + V::rows - 1) / V::rows * ((vectors + 3) / 4);
}

// A product of any size, as far as its tiles are this worker's; p tells where it starts.
template <class Format>
static void product_share(const Product<Format>& p, int64_t rows, int64_t vectors, Tiles& tiles) {
  using V = typename Format::V;
  Product<Format> q = p;
  for (int64_t j = 0; 4 * j < vectors; ++j) {
    const int64_t column = 4 * j * V::W;
    for (int64_t r = 0; r < rows; ++tiles.next) {
      const int m = tile_rows<V>(rows - r);
      if (tiles.next >= tiles.mine && tiles.next < tiles.end) {
        q.a = p.a + r * p.a_row, q.panel = p.panel + column, q.out = p.out + r * p.out_row + column;
        product<Format>(m, group(vectors, j), q);
      }
      r += m;
    }
  }
}
