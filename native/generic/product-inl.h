// The one micro-kernel of all products.
//
// A panel holds, for every k, `count` vectors side by side, so that one k costs `count` loads of the panel and one
// broadcast for each of the M rows. Sums run over k in order, alone for each row: no result depends on M.

#define REKUR_INLINE inline __attribute__((always_inline))

// acc[m][first + v] += Σ_k a[m][k·a_step] · panel[k·p_step + v·W], k over groups
template <class Format, int M, int N, int first, int count>
static REKUR_INLINE void accumulate(typename Format::V (&acc)[M][N], const typename Format::P* const (&rows)[M],
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

template <class Format, int M, int N, bool unit>
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
  accumulate<Format, M, N, 0, N>(acc, rows, unit ? 1 : p.a_step, p.panel, unit ? N * V::W : p.p_step, p.size);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      typename Format::T* out = p.out + m * p.out_row + v * V::W;
      (p.add ? V::load(out) + acc[m][v] : acc[m][v]).store(out);
    }
  }
}

template <class Format, int M, bool unit>
static void product_vectors(int n, const Product<Format>& p) {
  switch (n) {
    case 1: return product_tile<Format, M, 1, unit>(p);
    case 2: return product_tile<Format, M, 2, unit>(p);
    case 3: return product_tile<Format, M, 3, unit>(p);
    default: return product_tile<Format, M, 4, unit>(p);
  }
}

// m rows (1 … V::rows), n vectors (1 … 4). `unit`: rows contiguous in k (a_step 1), panel dense (p_step n·W).
template <class Format, bool unit, int M = Format::V::rows>
static void product(int m, int n, const Product<Format>& p) {
  if constexpr (M > 1) {
    if (m < M) return product<Format, unit, M - 1>(m, n, p);
  }
  product_vectors<Format, M, unit>(n, p);
}

// How many rows the next tile takes of `left`, so that tiles are as even as they can be.
template <class V>
static inline int tile_rows(int64_t left) {
  const int64_t tiles = (left + V::rows - 1) / V::rows;
  return int((left + tiles - 1) / tiles);
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
        product<Format, false>(m, group(vectors, j), q);
      }
      r += m;
    }
  }
}
