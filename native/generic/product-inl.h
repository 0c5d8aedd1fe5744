// The one micro-kernel of all products, and the packing of weights into its panels.
//
// A panel holds, for every k, `count` vectors side by side, so that one k costs `count` loads of the panel and one
// broadcast for each of the M rows. Sums run over k in order, alone for each row: no result depends on M.

#define REKUR_INLINE inline __attribute__((always_inline))

// acc[m][first + v] += Σ_k a[m][k·a_step] · panel[k·p_step + v·W]
template <class V, int M, int N, int first, int count>
static REKUR_INLINE void accumulate(V (&acc)[M][N], const typename V::T* const (&rows)[M], int64_t a_step,
                                    const typename V::T* panel, int64_t p_step, int64_t size) {
  using T = typename V::T;
  const T* a[M];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) a[m] = rows[m];
#pragma GCC unroll 1
  for (int64_t k = 0; k < size; ++k) {
    V p[count];
#pragma GCC unroll 8
    for (int v = 0; v < count; ++v) p[v] = V::load(panel + v * V::W);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const V b = V::set(a[m][k * a_step]);
#pragma GCC unroll 8
      for (int v = 0; v < count; ++v) acc[m][first + v] = fma(b, p[v], acc[m][first + v]);
    }
    panel += p_step;
  }
}

// One product of M rows with a panel of N vectors.
//   a      in   row m starts at a + m·a_row, its k-th element lies a_step·k further
//   panel  in   (size, N·W), p_step elements from one k to the next
//   out    out  row m starts at out + m·out_row, N·W elements; with `add` it is added to; aliases nothing
template <class T>
struct Product {
  const T* a;
  int64_t a_row, a_step;
  const T* panel;
  int64_t p_step, size;
  T* out;
  int64_t out_row;
  bool add;
};

template <class V, int M, int N, bool unit>
static void product_tile(const Product<typename V::T>& p) {
  const typename V::T* rows[M];
  V acc[M][N];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
    rows[m] = p.a + m * p.a_row;
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) acc[m][v] = V::set(0);
  }
  accumulate<V, M, N, 0, N>(acc, rows, unit ? 1 : p.a_step, p.panel, unit ? N * V::W : p.p_step, p.size);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      typename V::T* out = p.out + m * p.out_row + v * V::W;
      (p.add ? V::load(out) + acc[m][v] : acc[m][v]).store(out);
    }
  }
}

template <class V, int M, bool unit>
static void product_vectors(int n, const Product<typename V::T>& p) {
  switch (n) {
    case 1: return product_tile<V, M, 1, unit>(p);
    case 2: return product_tile<V, M, 2, unit>(p);
    case 3: return product_tile<V, M, 3, unit>(p);
    default: return product_tile<V, M, 4, unit>(p);
  }
}

// m rows (1 … V::rows), n vectors (1 … 4). `unit`: rows contiguous in k (a_step 1), panel dense (p_step n·W).
template <class V, bool unit, int M = V::rows>
static void product(int m, int n, const Product<typename V::T>& p) {
  if constexpr (M > 1) {
    if (m < M) return product<V, unit, M - 1>(m, n, p);
  }
  product_vectors<V, M, unit>(n, p);
}

// How many rows the next tile takes of `left`, so that tiles are as even as they can be.
template <class V>
static inline int tile_rows(int64_t left) {
  const int64_t tiles = (left + V::rows - 1) / V::rows;
  return int((left + tiles - 1) / tiles);
}

// A contiguous share of 0 … n for one worker.
static inline int64_t share(int64_t n, int rank, int size) { return n * rank / size; }

// The gates of one product as a panel: for block j, for k, the parts side by side, each `vectors` wide.
//   panel   out  (blocks)(size)(parts · vectors · W)
//   weight  in   (G·H, size) contiguous
//   gate    in   (parts,) the gate that feeds each part
template <class V>
static void pack_gates(typename V::T* panel, const typename V::T* weight, int64_t size, int64_t H, const int* gate,
                       int parts, int vectors, int64_t block) {
  const int64_t columns = int64_t(parts) * vectors * V::W;
  for (int p = 0; p < parts; ++p) {
    for (int64_t u = 0; u < vectors * V::W; ++u) {
      const int64_t unit = block + u, column = p * vectors * V::W + u;
      const typename V::T* row = weight + (gate[p] * H + unit) * size;
      for (int64_t k = 0; k < size; ++k) panel[k * columns + column] = unit < H ? row[k] : typename V::T(0);
    }
  }
}

// A slice of columns of a weight as a panel for the products with gate gradients.
//   panel   out  (parts · Hp, vectors · W), zero where a unit or a column does not exist
//   weight  in   (G·H, size) contiguous; columns `start` … are taken
template <class V>
static void pack_columns(typename V::T* panel, const typename V::T* weight, int64_t size, int64_t H, int64_t Hp,
                         const int* gate, int parts, int vectors, int64_t start) {
  const int64_t width = vectors * V::W, real = size - start < width ? size - start : width;
  for (int p = 0; p < parts; ++p) {
    for (int64_t unit = 0; unit < Hp; ++unit, panel += width) {
      const typename V::T* row = weight + (gate[p] * H + unit) * size + start;
      for (int64_t c = 0; c < width; ++c) panel[c] = unit < H && c < real ? row[c] : typename V::T(0);
    }
  }
}
