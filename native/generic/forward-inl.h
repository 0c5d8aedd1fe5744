// The loop over time, forward. Workers own slices of rows and meet once, after the weights are packed.

template <class Cell, class V, bool training>
struct Forward {
  using T = typename V::T;
  using F = Facts<Cell>;
  const Problem& p;
  Shape<Cell, V> shape;
  T *panel_x, *panel_h;  // packed W, R: (blocks)(I or H)(parts · vectors · W)
  T* bias;               // (blocks)(parts · vectors · W)
  T* states;             // (S, 2, B, Hp): states before and after the step, in turn; null in training
  T* tape;               // see Shape; null unless training
  const T** xs;          // (B,) x of every row at the step it is at,
  T** ys;                // (B,) and its y
  int64_t x_step, y_step;  // from one step to the next

  Forward(const Problem& problem, void* kept, Carver& carver) : p(problem), shape(problem), tape((T*)kept) {
    panel_x = carver.take<T>(shape.I * F::x_parts * shape.Hp);
    panel_h = carver.take<T>(shape.H * F::h_parts * shape.Hp);
    bias = carver.take<T>(Cell::parts * shape.Hp);
    states = training ? nullptr : carver.take<T>(Cell::states * 2 * shape.B * shape.Hp);
    xs = carver.take<const T*>(shape.B);
    ys = carver.take<T*>(shape.B);
    x_step = p.reverse ? -p.x_time : p.x_time, y_step = p.reverse ? -p.y_time : p.y_time;
  }

  void pack(const Team& team) const {
    for (int64_t j = share(shape.blocks, team.rank, team.size); j < share(shape.blocks, team.rank + 1, team.size); ++j) {
      const int n = shape.block_vectors(j);
      const int64_t unit = j * F::unit_vectors * V::W;
      pack_gates<V>(panel_x + unit * F::x_parts * shape.I, (const T*)p.W, shape.I, shape.H, Cell::x_gate + F::x_first,
                    F::x_parts, n, unit);
      pack_gates<V>(panel_h + unit * F::h_parts * shape.H, (const T*)p.R, shape.H, shape.H, Cell::h_gate + F::h_first,
                    F::h_parts, n, unit);
      T* sums = bias + unit * Cell::parts;
      for (int part = 0; part < Cell::parts; ++part) {
        for (int64_t u = unit; u < unit + n * V::W; ++u) {
          T sum = 0;
          if (u < shape.H && p.bW && Cell::x_gate[part] >= 0) sum += ((const T*)p.bW)[Cell::x_gate[part] * shape.H + u];
          if (u < shape.H && p.bR && Cell::h_gate[part] >= 0) sum += ((const T*)p.bR)[Cell::h_gate[part] * shape.H + u];
          *sums++ = sum;
        }
      }
    }
  }

  // What a step reads and writes, all rows: the states before and after it (B, Hp) and its share of the tape.
  struct Step {
    const T* before[Cell::states];
    T* after[Cell::states];
    T* kept;  // (blocks)(B)(kept_row)
  };

  Step step(int64_t s) const {
    Step step{};
    for (int i = 0; i < Cell::states; ++i) step.before[i] = state(i, s, 0), step.after[i] = state(i, s + 1, 0);
    if constexpr (training) step.kept = tape + shape.kept_at(s, 0, 0);
    return step;
  }

  // State i of row r before step s.
  T* state(int i, int64_t s, int64_t r) const {
    return training ? tape + shape.state_at(i, s, r) : states + ((i * 2 + (s & 1)) * shape.B + r) * shape.Hp;
  }

  // Rows r … r+M-1 of a step in block j, which holds n vectors of units.
  template <int M, int n>
  void tile(const Step& step, int64_t j, int64_t r) const {
    constexpr int N = Cell::parts * n, line = 64 / sizeof(T);
    constexpr int64_t kept_row = Shape<Cell, V>::kept_row;
    const int64_t unit = j * F::unit_vectors * V::W, Hp = shape.Hp, at = r * Hp + unit;
    T* const kept = training ? step.kept + (j * shape.B + r) * kept_row : nullptr;
    alignas(64) T sums[M][N * V::W];
    {
      V acc[M][N];
      const T *x[M], *hidden[M];
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        x[m] = xs[r + m];
        hidden[m] = step.before[0] + (r + m) * Hp;
#pragma GCC unroll 8
        for (int v = 0; v < N; ++v) acc[m][v] = V::load(bias + unit * Cell::parts + v * V::W);
      }
      // What the rows will write once their sums are there is fetched while they are computed.
#pragma GCC unroll 1
      for (int m = 0; m < M; ++m) {
        for (int u = 0; u < n * V::W; u += line) {
          expect_write(ys[r + m] + unit + u);
          for (int i = 0; training && i < Cell::states; ++i) expect_write(step.after[i] + at + m * Hp + u);
        }
        for (int k = 0; training && k < kept_row; k += line) expect_write(kept + m * kept_row + k);
      }
      accumulate<V, M, N, F::x_first * n, F::x_parts * n>(acc, x, 1, panel_x + unit * F::x_parts * shape.I,
                                                          F::x_parts * n * V::W, shape.I);
      accumulate<V, M, N, F::h_first * n, F::h_parts * n>(acc, hidden, 1, panel_h + unit * F::h_parts * shape.H,
                                                          F::h_parts * n * V::W, shape.H);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
#pragma GCC unroll 8
        for (int v = 0; v < N; ++v) acc[m][v].store(sums[m] + v * V::W);
      }
    }
#pragma GCC unroll 1
    for (int m = 0; m < M; ++m) {
#pragma GCC unroll 4
      for (int v = 0; v < n; ++v) {
        const int64_t cell = at + m * Hp + v * V::W;
        V part[Cell::parts], values[Cell::states], keep[Cell::kept + 1];
        for (int i = 0; i < Cell::parts; ++i) part[i] = V::load(sums[m] + (i * n + v) * V::W);
        for (int i = 0; i < Cell::states; ++i) values[i] = V::load(step.before[i] + cell);
        Cell::point(part, values, keep);
        for (int i = 0; i < Cell::states; ++i) values[i].store(step.after[i] + cell);
        store_tail(values[0], ys[r + m] + unit + v * V::W, shape.H - unit - v * V::W);
        for (int i = 0; training && i < Cell::kept; ++i) {
          keep[i].store(kept + m * kept_row + (i * F::unit_vectors + v) * V::W);
        }
      }
    }
  }

  template <int n, int M = V::rows>
  void tile_of(int m, const Step& step, int64_t j, int64_t r) const {
    if constexpr (M > 1) {
      if (m < M) return tile_of<n, M - 1>(m, step, j, r);
    }
    tile<M, n>(step, j, r);
  }

  // Rows r0 … r1-1 of a step in block j.
  template <int n = F::unit_vectors>
  void block(const Step& step, int64_t j, int64_t r0, int64_t r1) const {
    if constexpr (n > 1) {
      if (shape.block_vectors(j) < n) return block<n - 1>(step, j, r0, r1);
    }
    for (int64_t r = r0; r < r1;) {
      const int m = tile_rows<V>(r1 - r);
      tile_of<n>(m, step, j, r);
      r += m;
    }
  }

  void start(int64_t r) const {
    const int64_t row = p.rows.order[r], t = time_of(p, 0, p.rows.length[r]);
    xs[r] = (const T*)p.x + row * p.x_batch + t * p.x_time;
    ys[r] = (T*)p.y + row * p.y_batch + t * p.y_time;
    for (int i = 0; i < Cell::states; ++i) {
      copy_padded(state(i, 0, r), (const T*)p.init[i] + row * shape.H, shape.H, shape.Hp);
    }
    for (int64_t t = p.rows.length[r]; t < shape.steps; ++t) {
      T* y = (T*)p.y + row * p.y_batch + t * p.y_time;
      for (int64_t u = 0; u < shape.H; ++u) y[u] = 0;
    }
  }

  // Write the states of a row that has made `steps` steps, its last ones.
  void finish(int64_t r, int64_t steps) const {
    const int64_t row = p.rows.order[r];
    for (int i = 0; i < Cell::states; ++i) {
      const T* from = state(i, steps, r);
      T* to = (T*)p.last[i] + row * shape.H;
      for (int64_t u = 0; u < shape.H; ++u) to[u] = from[u];
    }
  }

  void slice(int64_t r0, int64_t r1) const {
    for (int64_t r = r0; r < r1; ++r) start(r);
    int64_t end = r1;  // rows r0 … end-1 still run
    for (int64_t s = 0;; ++s) {
      for (; end > r0 && p.rows.length[end - 1] == s; --end) finish(end - 1, s);
      if (end == r0) return;
      const Step now = step(s);
      for (int64_t j = 0; j < shape.blocks; ++j) block(now, j, r0, end);
      for (int64_t r = r0; r < end; ++r) xs[r] += x_step, ys[r] += y_step;
    }
  }

  static void work(void* context, const Team& team) {
    const Forward& self = *(const Forward*)context;
    self.pack(team);
    team.barrier();
    self.slice(slice_start(self.p, team.rank, team.size), slice_start(self.p, team.rank + 1, team.size));
  }
};
