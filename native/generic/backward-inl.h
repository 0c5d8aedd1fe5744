// The loop over time, backward, in chunks of time. In a chunk every worker walks its slice of rows and writes the
// gradients of the parts (da) and the inputs (x and 1) beside them; then all workers meet and share out the product
// of da with x, 1 and h before the step, which is the gradient of W, bias and R. A share is a range of results,
// never of the sum, and chunks depend on the sizes alone: the bits do not depend on the number of threads.

template <class Cell, class V>
struct Backward {
  using T = typename V::T;
  using F = Facts<Cell>;
  static constexpr int64_t chunk_bytes = 256 << 10;  // of da and x1, so that they stay in the second cache
  static constexpr int64_t reduce_rows = 128;        // rows of one pass over da, so that a group stays in the first
  const Problem& p;
  const Gradient& g;
  Shape<Cell, V> shape;
  const T* tape;            // see Shape, in
  int64_t x1_row, da_row;   // row lengths of x1 and da
  int64_t chunk_rows;       // rows of x1 and da
  int64_t input_vectors;    // vectors of dx
  T* panel_h;               // R for dh: (⌈vectors/4⌉)(h_parts · Hp)(4 · W)
  T* panel_x;               // W for dx: (⌈input_vectors/4⌉)(x_parts · Hp)(4 · W)
  T* sums;                  // (I + 1 + H, da_row): Σ (x, 1, h)·da over all chunks so far
  T* ds;                    // (S, B, Hp): gradients of the states, in walk order
  T *x1[2], *da[2];         // chunks in turn: x, 1 (chunk_rows, x1_row) and da (chunk_rows, da_row)

  Backward(const Problem& problem, const Gradient& gradient, const void* kept, Carver& carver)
      : p(problem), g(gradient), shape(problem), tape((const T*)kept) {
    x1_row = shape.I + 1;
    da_row = Cell::parts * shape.Hp + V::W;  // one vector more, so that rows do not fall on the same cache sets
    chunk_rows = chunk_bytes / int64_t(sizeof(T)) / (x1_row + da_row);
    const int64_t few = 4 * shape.B, most = 3 * chunk_rows;
    if (chunk_rows < few) chunk_rows = few < most ? few : most;
    if (chunk_rows < shape.B) chunk_rows = shape.B;
    if (chunk_rows > shape.B * shape.steps) chunk_rows = shape.B * shape.steps;
    input_vectors = (shape.I + V::W - 1) / V::W;
    panel_h = carver.take<T>(F::h_parts * shape.Hp * shape.Hp);
    panel_x = g.dx ? carver.take<T>(F::x_parts * shape.Hp * input_vectors * V::W) : nullptr;
    sums = carver.take<T>((shape.I + 1 + shape.H) * da_row);
    ds = carver.take<T>(Cell::states * shape.B * shape.Hp);
    for (int i = 0; i < 2; ++i) {
      x1[i] = carver.take<T>(chunk_rows * x1_row);
      da[i] = carver.take<T>(chunk_rows * da_row);
    }
  }

  T* ds_row(int i, int64_t r) const { return ds + (i * shape.B + r) * shape.Hp; }
  static int group(int64_t vectors, int64_t j) { return int(vectors - 4 * j < 4 ? vectors - 4 * j : 4); }

  void pack(const Team& team) const {
    const int64_t h_groups = (shape.vectors + 3) / 4, x_groups = g.dx ? (input_vectors + 3) / 4 : 0;
    const int64_t all = h_groups + x_groups;
    for (int64_t j = share(all, team.rank, team.size); j < share(all, team.rank + 1, team.size); ++j) {
      const bool h = j < h_groups;
      const int64_t i = h ? j : j - h_groups, start = 4 * i * V::W;
      if (h) {
        pack_columns<V>(panel_h + start * F::h_parts * shape.Hp, (const T*)p.R, shape.H, shape.H, shape.Hp,
                        Cell::h_gate + F::h_first, F::h_parts, group(shape.vectors, i), start);
      } else {
        pack_columns<V>(panel_x + start * F::x_parts * shape.Hp, (const T*)p.W, shape.I, shape.H, shape.Hp,
                        Cell::x_gate + F::x_first, F::x_parts, group(input_vectors, i), start);
      }
    }
    const int64_t rows = shape.I + 1 + shape.H, end = share(rows, team.rank + 1, team.size) * da_row;
    for (int64_t i = share(rows, team.rank, team.size) * da_row; i < end; ++i) sums[i] = 0;
  }

  // Gradients of the last states, and zero for the steps no row makes.
  void start(int64_t r) const {
    const int64_t row = p.rows.order[r];
    for (int i = 0; i < Cell::states; ++i) {
      const T* from = (const T*)g.dlast[i];
      copy_padded(ds_row(i, r), from ? from + row * shape.H : nullptr, shape.H, shape.Hp);
    }
    for (int64_t t = p.rows.length[r]; g.dx && t < shape.steps; ++t) {
      T* dx = (T*)g.dx + row * g.dx_batch + t * g.dx_time;
      for (int64_t i = 0; i < shape.I; ++i) dx[i] = 0;
    }
  }

  void finish(int64_t r) const {
    const int64_t row = p.rows.order[r];
    for (int i = 0; i < Cell::states; ++i) {
      T* to = (T*)g.dinit[i];
      for (int64_t u = 0; to && u < shape.H; ++u) to[row * shape.H + u] = ds_row(i, r)[u];
    }
  }

  // What one vector of a row will read in the step before: the tape is too large for the second cache.
  inline void expect(int64_t s, int64_t r, int64_t v) const {
    for (int i = 0; i < Cell::kept; ++i) expect_read(tape + shape.kept_at(s, v / F::unit_vectors, r) + i * V::W);
    for (int i = 0; i < Cell::states; ++i) expect_read(tape + shape.state_at(i, s, r) + v * V::W);
  }

  // The derivative of one row's step: x and 1 into `to`, da into `out`; ds keeps what does not go through R.
  void point(T* out, int64_t s, int64_t r) const {
#pragma GCC unroll 1
    for (int64_t v = 0; v < shape.vectors; ++v) {
      const int64_t unit = v * V::W, j = v / F::unit_vectors;
      V kept[Cell::kept + 1], before[Cell::states], after[Cell::states], grad[Cell::states], part[Cell::parts];
      for (int i = 0; i < Cell::kept; ++i) kept[i] = V::load(tape + shape.kept_at(s, j, r) + i * V::W);
      for (int i = 0; i < Cell::states; ++i) {
        before[i] = V::load(tape + shape.state_at(i, s, r) + unit);
        after[i] = V::load(tape + shape.state_at(i, s + 1, r) + unit);
        grad[i] = V::load(ds_row(i, r) + unit);
      }
      if (g.dy) grad[0] = grad[0] + V::load(out + unit);
      if (s > 0) expect(s - 1, r, v);
      Cell::point_grad(kept, before, after, grad, part);
      for (int i = 0; i < Cell::states; ++i) grad[i].store(ds_row(i, r) + unit);
      for (int i = 0; i < Cell::parts; ++i) part[i].store(out + i * shape.Hp + unit);
    }
  }

  // ds of rows r0 … r1-1, whose da starts at `from`: what reaches the state before the step through R.
  void through_R(const T* from, int64_t r0, int64_t r1) const {
    Product<T> q{};
    q.a_row = da_row, q.a_step = 1, q.size = F::h_parts * shape.Hp, q.out_row = shape.Hp, q.add = Cell::direct;
    for (int64_t j = 0; 4 * j < shape.vectors; ++j) {
      const int n = group(shape.vectors, j);
      q.panel = panel_h + 4 * j * V::W * q.size, q.p_step = n * V::W;
      for (int64_t r = r0; r < r1;) {
        const int m = tile_rows<V>(r1 - r);
        q.a = from + (r - r0) * da_row + F::h_first * shape.Hp;
        q.out = ds_row(0, r) + 4 * j * V::W;
        product<V, true>(m, n, q);
        r += m;
      }
    }
  }

  // dx of rows r0 … r1-1 at step s, whose da starts at `from`, for one group of inputs.
  void through_W(const T* from, int64_t s, int64_t j, int64_t r0, int64_t r1) const {
    alignas(64) T tile[V::rows][4 * V::W];
    const int n = group(input_vectors, j);
    Product<T> q{};
    q.a_row = da_row, q.a_step = 1, q.size = F::x_parts * shape.Hp, q.p_step = n * V::W;
    q.panel = panel_x + 4 * j * V::W * q.size, q.out = tile[0], q.out_row = 4 * V::W;
    for (int64_t r = r0; r < r1;) {
      const int m = tile_rows<V>(r1 - r);
      q.a = from + (r - r0) * da_row + F::x_first * shape.Hp;
      product<V, true>(m, n, q);
      for (int i = 0; i < m; ++i) {
        const int64_t row = p.rows.order[r + i], t = time_of(p, s, p.rows.length[r + i]), first = 4 * j * V::W;
        T* dx = (T*)g.dx + row * g.dx_batch + t * g.dx_time + first;
        for (int v = 0; v < n && first + v * V::W < shape.I; ++v) {
          store_tail(V::load(tile[i] + v * V::W), dx + v * V::W, shape.I - first - v * V::W);
        }
      }
      r += m;
    }
  }

  // What row r reads of the caller's memory in steps s0 … s1-1, laid beside da: x and 1, and dy where the first part of
  // da will stand. Along the time of one row memory is walked in order; across the rows of one step it is not.
  void gather(int turn, int64_t s0, int64_t s1, int64_t r) const {
    const int64_t row = p.rows.order[r], length = p.rows.length[r];
    const int64_t ahead = (r + 4 < shape.B ? p.rows.order[r + 4] - row : 0) * g.dy_batch;  // fetched meanwhile
    for (int64_t s = s0; s < s1 && s < length; ++s) {
      const int64_t t = time_of(p, s, length), at = p.rows.first[s] - p.rows.first[s0] + r;
      const T* x = (const T*)p.x + row * p.x_batch + t * p.x_time;
      T* to = x1[turn] + at * x1_row;
      for (int64_t i = 0; i < shape.I; ++i) to[i] = x[i];
      to[shape.I] = 1;
      if (!g.dy) continue;
      const T* dy = (const T*)g.dy + row * g.dy_batch + t * g.dy_time;
      T* out = da[turn] + at * da_row;
      for (int64_t u = 0; u < shape.H; u += V::W) {
        expect_now(dy + ahead + u);
        load_tail<V>(dy + u, shape.H - u).store(out + u);
      }
    }
  }

  // Steps s1-1 … s0 of rows r0 … r1-1 into the chunk `turn`.
  void slice(int turn, int64_t s0, int64_t s1, int64_t r0, int64_t r1) const {
    for (int64_t r = r0; r < r1; ++r) gather(turn, s0, s1, r);
    int64_t end = r0;  // rows r0 … end-1 run at step s
    for (int64_t s = s1 - 1; s >= s0; --s) {
      const int64_t base = p.rows.first[s] - p.rows.first[s0];
      for (; end < r1 && p.rows.length[end] > s; ++end) {
      }
      for (int64_t r = r0; r < end; ++r) point(da[turn] + (base + r) * da_row, s, r);
      through_R(da[turn] + (base + r0) * da_row, r0, end);
    }
    for (int64_t j = 0; g.dx && 4 * j < input_vectors; ++j) {
      end = r0;
      for (int64_t s = s1 - 1; s >= s0; --s) {
        for (; end < r1 && p.rows.length[end] > s; ++end) {
        }
        through_W(da[turn] + (p.rows.first[s] - p.rows.first[s0] + r0) * da_row, s, j, r0, end);
      }
    }
  }

  // One rectangle of `sums`: rows k0 … of k rows, all columns of some parts; `tile` counts on over rectangles.
  //   a   in  (rows, k), a_row elements from one row to the next: what the parts were multiplied with
  //   da  in  (rows, da_row)
  void reduce_part(const T* a, int64_t a_row, const T* da_from, int64_t rows, int64_t k0, int64_t k, int part,
                   int parts, int64_t& tile, int64_t mine, int64_t end) const {
    Product<T> q{};
    q.a_row = 1, q.a_step = a_row, q.p_step = da_row, q.size = rows, q.out_row = da_row, q.add = true;
    const int64_t vectors = parts * shape.vectors;
    for (int64_t j = 0; 4 * j < vectors; ++j) {
      const int64_t column = part * shape.Hp + 4 * j * V::W;
      for (int64_t i = 0; i < k; ++tile) {
        const int m = tile_rows<V>(k - i);
        if (tile >= mine && tile < end) {
          q.a = a + i, q.panel = da_from + column, q.out = sums + (k0 + i) * da_row + column;
          product<V, false>(m, group(vectors, j), q);
        }
        i += m;
      }
    }
  }

  static int64_t tiles(int64_t k, int64_t vectors) { return (k + V::rows - 1) / V::rows * ((vectors + 3) / 4); }

  // This worker's share of sums += (x, 1, h)ᵀ·da over rows of a chunk that are adjacent in x1, da and the tape.
  void reduce(const T* x_from, const T* h_from, const T* da_from, int64_t rows, const Team& team) const {
    constexpr int x_end = F::x_first + F::x_parts;  // parts from here on see 1, but not x
    const int64_t all = tiles(x1_row, F::x_parts * shape.vectors) + tiles(shape.H, F::h_parts * shape.vectors) +
                        tiles(1, (Cell::parts - x_end) * shape.vectors);
    const int64_t mine = share(all, team.rank, team.size), end = share(all, team.rank + 1, team.size);
    int64_t tile = 0;
    reduce_part(x_from, x1_row, da_from, rows, 0, x1_row, F::x_first, F::x_parts, tile, mine, end);
    reduce_part(h_from, shape.Hp, da_from, rows, x1_row, shape.H, F::h_first, F::h_parts, tile, mine, end);
    reduce_part(x_from + shape.I, x1_row, da_from, rows, shape.I, 1, x_end, Cell::parts - x_end, tile, mine, end);
  }

  // The same over the steps s0 … s1-1: in one go if every row runs in all of them, else step by step.
  void reduce_steps(int turn, int64_t s0, int64_t s1, const Team& team) const {
    const int64_t* first = p.rows.first;
    const bool dense = first[s1] - first[s0] == (s1 - s0) * shape.B;
    for (int64_t s = s0; s < s1; s += dense ? s1 - s0 : 1) {
      const int64_t rows = first[dense ? s1 : s + 1] - first[s], base = first[s] - first[s0];
      for (int64_t i = 0; i < rows; i += reduce_rows) {
        reduce(x1[turn] + (base + i) * x1_row, tape + shape.state_at(0, s, i), da[turn] + (base + i) * da_row,
               rows - i < reduce_rows ? rows - i : reduce_rows, team);
      }
    }
  }

  // The gradients of the weights from `sums`, for this worker's share of the units.
  void unpack(const Team& team) const {
    const int64_t u0 = share(shape.H, team.rank, team.size), u1 = share(shape.H, team.rank + 1, team.size);
    for (int part = 0; part < Cell::parts; ++part) {
      const int64_t column = part * shape.Hp;
      if (const int gate = Cell::x_gate[part]; gate >= 0) {
        unpack_part((T*)g.dW, (T*)g.dbW, gate, shape.I, sums + column, column, u0, u1);
      }
      if (const int gate = Cell::h_gate[part]; gate >= 0) {
        unpack_part((T*)g.dR, (T*)g.dbR, gate, shape.H, sums + x1_row * da_row + column, column, u0, u1);
      }
    }
  }

  // from: (size, da_row) in, the rows of one product; weight (G·H, size) and bias (G·H,) out, each may be null.
  void unpack_part(T* weight, T* bias, int gate, int64_t size, const T* from, int64_t column, int64_t u0,
                   int64_t u1) const {
    for (int64_t u = u0; u < u1; ++u) {
      for (int64_t k = 0; weight && k < size; ++k) weight[(gate * shape.H + u) * size + k] = from[k * da_row + u];
      if (bias) bias[gate * shape.H + u] = sums[shape.I * da_row + column + u];
    }
  }

  static void work(void* context, const Team& team) {
    const Backward& self = *(const Backward*)context;
    const Problem& p = self.p;
    const int64_t r0 = slice_start(p, team.rank, team.size), r1 = slice_start(p, team.rank + 1, team.size);
    for (int64_t r = r0; r < r1; ++r) self.start(r);
    self.pack(team);
    team.barrier();
    int turn = 0;
    for (int64_t s1 = p.T, s0; s1 > 0; s1 = s0, turn ^= 1) {
      for (s0 = s1 - 1; s0 > 0 && p.rows.first[s1] - p.rows.first[s0 - 1] <= self.chunk_rows; --s0) {
      }
      self.slice(turn, s0, s1, r0, r1);
      team.barrier();  // the next chunk goes to the other buffers, so one meeting for each chunk is enough
      self.reduce_steps(turn, s0, s1, team);
    }
    team.barrier();
    self.unpack(team);
    for (int64_t r = r0; r < r1; ++r) self.finish(r);
  }
};
