// The loop over time, backward, in chunks of time. In a chunk every worker walks its slice of rows and writes the
// gradients of the parts (da) and the inputs (x and 1) beside them; then all workers meet and share out the product
// of da with x, 1 and h before the step, which is the gradient of W, bias and R; for late parts the middle, which
// stands behind the parts in da, takes the place of h. A share is a range of results, never of the sum, and chunks
// depend on the sizes alone: the bits do not depend on the number of threads.
//
// That product sums over rows, `depth` of them at a time. With depth 1 it takes x1, the tape and da as they are; with
// depth 2 two steps of a row are paired, in `left` (x, 1, h) and `right` (da), the second one zero where it is missing.

template <class Cell, class Format>
struct Backward {
  using V = typename Format::V;
  using T = typename Format::T;
  using S = typename Format::S;
  using P = typename Format::P;
  using F = Facts<Cell>;
  static constexpr int depth = Format::depth;
  static constexpr int da_parts = Cell::parts + (Cell::late > 0);  // with the middle
  static constexpr int64_t chunk_bytes = 256 << 10;  // of da and x1, so that they stay in the second cache
  static constexpr int64_t reduce_rows = 128;        // rows of one pass over da, so that a group stays in the first
  const Problem& p;
  const Gradient& g;
  Shape<Cell, Format> shape;
  const S* tape;            // see Shape, in
  int64_t x1_row, da_row, left_row;  // row lengths of x1, da and, in groups, `left`
  int64_t chunk_rows;       // rows of x1 and da
  int64_t input_vectors;    // vectors of dx
  S* panel_h;               // R for dh: (⌈vectors/4⌉)(h_parts · Hp)(4 · W)
  S* panel_x;               // W for dx: (⌈input_vectors/4⌉)(x_parts · Hp)(4 · W)
  T* sums;                  // (I + 1 + H, da_row): Σ (x, 1, h)·da over all chunks so far
  T* ds;                    // (S, B, Hp): gradients of the states, in walk order
  T* dmiddle;               // (B, Hp): gradient of the middle; null without late parts
  S *x1[2], *da[2];         // chunks in turn: x, 1 (chunk_rows, x1_row) and da (chunk_rows, da_row)
  P *left[2], *right[2];    // the same and h in pairs; null if depth is 1

  Backward(const Problem& problem, const Gradient& gradient, const void* kept, Carver& carver)
      : p(problem), g(gradient), shape(problem), tape((const S*)kept) {
    x1_row = shape.I + 1;
    left_row = x1_row + shape.H;
    da_row = da_parts * shape.Hp + shape.lanes;  // one vector more, so that rows do not fall on the same cache sets
    chunk_rows = chunk_bytes / int64_t(sizeof(T)) / (x1_row + da_row);
    const int64_t few = 4 * shape.B, most = 3 * chunk_rows;
    if (chunk_rows < few) chunk_rows = few < most ? few : most;
    if (chunk_rows < depth * shape.B) chunk_rows = depth * shape.B;
    if (chunk_rows > shape.B * shape.steps) chunk_rows = shape.B * shape.steps;
    input_vectors = (shape.I + V::W - 1) / V::W;
    panel_h = carver.take<S>(F::h_parts * shape.Hp * shape.Hp);
    panel_x = g.dx ? carver.take<S>(F::x_parts * shape.Hp * input_vectors * V::W) : nullptr;
    sums = carver.take<T>((shape.I + 1 + shape.H) * da_row);
    ds = carver.take<T>(Cell::states * shape.B * shape.Hp);
    dmiddle = Cell::late == 0 ? nullptr : carver.take<T>(shape.B * shape.Hp);
    for (int i = 0; i < 2; ++i) {
      x1[i] = carver.take<S>(chunk_rows * x1_row);
      da[i] = carver.take<S>(chunk_rows * da_row);
      left[i] = depth == 1 ? nullptr : carver.take<P>(chunk_rows * left_row);
      right[i] = depth == 1 ? nullptr : carver.take<P>(chunk_rows * da_row);
    }
  }

  T* ds_row(int i, int64_t r) const { return ds + (i * shape.B + r) * shape.Hp; }

  void pack(const Team& team) const {
    const int64_t h_groups = (shape.vectors + 3) / 4, x_groups = g.dx ? (input_vectors + 3) / 4 : 0;
    const int64_t all = h_groups + x_groups;
    for (int64_t j = share(all, team.rank, team.size); j < share(all, team.rank + 1, team.size); ++j) {
      const bool h = j < h_groups;
      const int64_t i = h ? j : j - h_groups, start = 4 * i * V::W;
      if (h) {
        pack_columns<Format>(panel_h + start * F::h_parts * shape.Hp, (const T*)p.R, shape.H, shape.H, shape.Hp,
                             Cell::h_gate + F::h_first, F::h_parts, group(shape.vectors, i), start);
      } else {
        pack_columns<Format>(panel_x + start * F::x_parts * shape.Hp, (const T*)p.W, shape.I, shape.H, shape.Hp,
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
      S* dx = (S*)g.dx + row * g.dx_batch + t * g.dx_time;
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

  // What row r reads of the caller's memory in steps s0 … s1-1, laid beside da: x and 1, and dy where the first part of
  // da will stand. Along the time of one row memory is walked in order; across the rows of one step it is not.
  void gather(int turn, int64_t s0, int64_t s1, int64_t r) const {
    const int64_t row = p.rows.order[r], length = p.rows.length[r];
    const int64_t ahead = (r + 4 < shape.B ? p.rows.order[r + 4] - row : 0) * g.dy_batch;  // fetched meanwhile
    for (int64_t s = s0; s < s1 && s < length; ++s) {
      const int64_t t = time_of(p, s, length), at = p.rows.first[s] - p.rows.first[s0] + r;
      const S* x = (const S*)p.x + row * p.x_batch + t * p.x_time;
      S* to = x1[turn] + at * x1_row;
      for (int64_t i = 0; i < shape.I; ++i) to[i] = x[i];
      to[shape.I] = Format::narrow(1);
      if (!g.dy) continue;
      const S* dy = (const S*)g.dy + row * g.dy_batch + t * g.dy_time;
      S* out = da[turn] + at * da_row;
      for (int64_t u = 0; u < shape.H; u += V::W) {
        expect_now(dy + ahead + u);
        Format::put(get_tail<Format>(dy + u, shape.H - u), out + u);
      }
      for (int64_t u = (shape.H + V::W - 1) / V::W * V::W; u < shape.Hp; u += V::W) Format::put(V::set(0), out + u);
    }
  }

  // What one vector of a row will read in the step before: the tape is too large for the second cache.
  inline void expect(int64_t s, int64_t r, int64_t v) const {
    for (int i = 0; i < Cell::kept; ++i) expect_read(tape + shape.kept_at(s, v, r) + i * V::W);
    for (int i = 0; i < Cell::states; ++i) expect_read(tape + shape.before_at(i, s, r) + v * V::W);
  }

  // One row's step derived by the parts of G, the late ones first: da into `out`, where dy stands; the rest into ds.
  template <class G>
  void point(S* out, int64_t s, int64_t r) const {
#pragma GCC unroll 1
    for (int64_t v = 0; v < shape.vectors; ++v) {
      const int64_t unit = v * V::W;
      V kept[Cell::kept + 1], before[Cell::states], after[Cell::states], grad[Cell::states], part[Cell::parts];
      const S* keep = tape + shape.kept_at(s, v, r);
      for (int i = 0; i < Cell::kept; ++i) kept[i] = Format::get(keep + i * V::W);
      for (int i = 0; i < Cell::states; ++i) {
        before[i] = Format::get(tape + shape.before_at(i, s, r) + unit);
        after[i] = Format::get(tape + shape.after_at(i, s, r) + unit);
        grad[i] = V::load(ds_row(i, r) + unit);
      }
      if (g.dy) grad[0] = grad[0] + Format::get(out + unit);
      if constexpr (G::begin > 0) {
        Cell::late_grad(kept, grad, part);
      } else {
        if (s > 0) expect(s - 1, r, v);
        if constexpr (Cell::late > 0) {
          const V dm = V::load(dmiddle + r * shape.Hp + unit);
          Format::put(Cell::point_grad(kept, before, dm, grad, part), out + Cell::parts * shape.Hp + unit);
        } else {
          Cell::point_grad(kept, before, after, grad, part);
        }
        for (int i = 0; i < Cell::states; ++i) grad[i].store(ds_row(i, r) + unit);
      }
      for (int i = G::begin; i < G::end; ++i) Format::put(part[i], out + i * shape.Hp + unit);
    }
  }

  // Row r of steps s and s+1 of a chunk as pairs; the second is zero if the chunk or the row ends before.
  void pair(int turn, int64_t s0, int64_t s, int64_t s1, int64_t pair_base, int64_t r) const {
    if constexpr (depth > 1) {
      const int64_t* first = p.rows.first;
      const int64_t at = first[s] - first[s0] + r;
      const bool two = s + 1 < s1 && p.rows.length[r] > s + 1;
      const int64_t next = two ? first[s + 1] - first[s0] + r : at;
      P *to = left[turn] + (pair_base + r) * left_row, *da_to = right[turn] + (pair_base + r) * da_row;
      pair_row(to, x1[turn] + at * x1_row, x1[turn] + next * x1_row, x1_row, two);
      const S *h = tape + shape.before_at(0, s, r), *next_h = tape + shape.before_at(0, two ? s + 1 : s, r);
      pair_row(to + x1_row, h, next_h, shape.H, two);
      pair_row(da_to, da[turn] + at * da_row, da[turn] + next * da_row, da_parts * shape.Hp, two);
    }
  }

  // What rows r0 … r1-1, whose da starts at `from`, send through R by the parts of G: to `out` (B, Hp), ds or dmiddle.
  template <class G>
  void through_R(const S* from, T* out, bool add, int64_t r0, int64_t r1) const {
    Product<Format> q{};
    q.a_row = da_row / depth, q.a_step = 1, q.size = G::h_parts * shape.Hp / depth;
    q.out_row = shape.Hp, q.add = add;
    for (int64_t j = 0; 4 * j < shape.vectors; ++j) {
      const int n = group(shape.vectors, j);
      const int64_t skip = 4 * j * F::h_parts + n * (G::h_first - F::h_first);
      q.panel = (const P*)panel_h + skip * V::W * shape.Hp / depth, q.p_step = n * V::W;
      for (int64_t r = r0; r < r1;) {
        const int m = tile_rows<V>(r1 - r);
        q.a = (const P*)(from + (r - r0) * da_row + G::h_first * shape.Hp);
        q.out = out + r * shape.Hp + 4 * j * V::W;
        product<Format, true>(m, n, q);
        r += m;
      }
    }
  }

  // dx of rows r0 … r1-1 at step s, whose da starts at `from`, for one group of inputs.
  void through_W(const S* from, int64_t s, int64_t j, int64_t r0, int64_t r1) const {
    alignas(64) T tile[V::rows][4 * V::W];
    const int n = group(input_vectors, j);
    Product<Format> q{};
    q.a_row = da_row / depth, q.a_step = 1, q.size = F::x_parts * shape.Hp / depth, q.p_step = n * V::W;
    q.panel = (const P*)panel_x + 4 * j * V::W * q.size, q.out = tile[0], q.out_row = 4 * V::W;
    for (int64_t r = r0; r < r1;) {
      const int m = tile_rows<V>(r1 - r);
      q.a = (const P*)(from + (r - r0) * da_row + F::x_first * shape.Hp);
      product<Format, true>(m, n, q);
      for (int i = 0; i < m; ++i) {
        const int64_t row = p.rows.order[r + i], t = time_of(p, s, p.rows.length[r + i]), first = 4 * j * V::W;
        S* dx = (S*)g.dx + row * g.dx_batch + t * g.dx_time + first;
        for (int v = 0; v < n && first + v * V::W < shape.I; ++v) {
          put_tail<Format>(V::load(tile[i] + v * V::W), dx + v * V::W, shape.I - first - v * V::W);
        }
      }
      r += m;
    }
  }

  // Steps s1-1 … s0 of rows r0 … r1-1 into the chunk `turn`.
  void slice(int turn, int64_t s0, int64_t s1, int64_t r0, int64_t r1) const {
    const int64_t* first = p.rows.first;
    for (int64_t r = r0; r < r1; ++r) gather(turn, s0, s1, r);
    int64_t end = r0, pairs = pair_rows(s0, s1);  // rows r0 … end-1 run at step s
    for (int64_t s = s1 - 1; s >= s0; --s) {
      S* const from = da[turn] + (first[s] - first[s0]) * da_row;
      while (end < r1 && p.rows.length[end] > s) ++end;
      if constexpr (Cell::late > 0) {
        for (int64_t r = r0; r < end; ++r) point<Late<Cell>>(from + r * da_row, s, r);
        through_R<Late<Cell>>(from + r0 * da_row, dmiddle, false, r0, end);
      }
      for (int64_t r = r0; r < end; ++r) point<Early<Cell>>(from + r * da_row, s, r);
      through_R<Early<Cell>>(from + r0 * da_row, ds, Cell::direct, r0, end);
      for (int64_t r = r0; p.resets && r < end; ++r) {
        if (!is_reset(p, s, r)) continue;
        for (int64_t u = 0; u < Cell::states * shape.Hp; ++u) ds_row(u / shape.Hp, r)[u % shape.Hp] = 0;
      }
      if (depth == 1 || (s - s0) % 2) continue;
      pairs -= first[s + 1] - first[s];
      for (int64_t r = r0; r < end; ++r) pair(turn, s0, s, s1, pairs, r);
    }
    for (int64_t j = 0; g.dx && 4 * j < input_vectors; ++j) {
      end = r0;
      for (int64_t s = s1 - 1; s >= s0; --s) {
        while (end < r1 && p.rows.length[end] > s) ++end;
        through_W(da[turn] + (first[s] - first[s0] + r0) * da_row, s, j, r0, end);
      }
    }
  }

  // Rows of a chunk once its steps are paired.
  int64_t pair_rows(int64_t s0, int64_t s1) const {
    int64_t rows = 0;
    for (int64_t s = s0; depth > 1 && s < s1; s += 2) rows += p.rows.first[s + 1] - p.rows.first[s];
    return rows;
  }

  // sums[k0 … k0+k-1] += Σ_rows aᵀ·da over `parts` parts from `part` on, as far as `tiles` are this worker's.
  void reduce_part(const P* a, int64_t a_row, const P* da_from, int64_t rows, int64_t k0, int64_t k, int part,
                   int parts, Tiles& tiles) const {
    Product<Format> q{};
    q.a = a, q.a_row = 1, q.a_step = a_row, q.panel = da_from + part * shape.Hp, q.p_step = da_row, q.size = rows;
    q.out = sums + k0 * da_row + part * shape.Hp, q.out_row = da_row, q.add = true;
    product_share(q, k, parts * shape.vectors, tiles);
  }

  struct Factors {  // rows of x and 1, of h and of da, with their row lengths
    const P *x, *h, *da;
    int64_t x_row, h_row;
  };

  // This worker's share of sums += (x, 1, h)ᵀ·da over adjacent rows.
  void reduce(const Factors& f, int64_t rows, const Team& team) const {
    using E = Early<Cell>;
    constexpr int x_end = F::x_first + F::x_parts;  // parts from here on see 1, but not x
    const int64_t n = shape.vectors;
    const int64_t all = tiles_of<V>(x1_row, F::x_parts * n) + tiles_of<V>(shape.H, E::h_parts * n) +
                        tiles_of<V>(shape.H, Cell::late * n) + tiles_of<V>(1, (Cell::parts - x_end) * n);
    Tiles tiles{share(all, team.rank, team.size), share(all, team.rank + 1, team.size), 0};
    reduce_part(f.x, f.x_row, f.da, rows, 0, x1_row, F::x_first, F::x_parts, tiles);
    reduce_part(f.h, f.h_row, f.da, rows, x1_row, shape.H, E::h_first, E::h_parts, tiles);
    if constexpr (Cell::late > 0) {
      reduce_part(f.da + Cell::parts * shape.Hp, da_row, f.da, rows, x1_row, shape.H, E::end, Cell::late, tiles);
    }
    reduce_part(f.x + shape.I, f.x_row, f.da, rows, shape.I, 1, x_end, Cell::parts - x_end, tiles);
  }

  // The same over `rows` rows, some at a time.
  void reduce_all(const Factors& f, int64_t rows, const Team& team) const {
    for (int64_t i = 0; i < rows; i += reduce_rows) {
      const Factors part{f.x + i * f.x_row, f.h + i * f.h_row, f.da + i * da_row, f.x_row, f.h_row};
      reduce(part, rows - i < reduce_rows ? rows - i : reduce_rows, team);
    }
  }

  // The same over the steps s0 … s1-1: in one go if what is before every step lies as one, else step by step.
  void reduce_steps(int turn, int64_t s0, int64_t s1, const Team& team) const {
    const int64_t* first = p.rows.first;
    if constexpr (depth > 1) {
      return reduce_all({left[turn], left[turn] + x1_row, right[turn], left_row, left_row}, pair_rows(s0, s1), team);
    }
    const bool dense = first[s1] - first[s0] == (s1 - s0) * shape.B && shape.slabs == 1;
    for (int64_t s = s0; s < s1; s += dense ? s1 - s0 : 1) {
      const int64_t base = first[s] - first[s0];
      const S* h = tape + shape.before_at(0, s, 0);
      reduce_all({(const P*)(x1[turn] + base * x1_row), (const P*)h, (const P*)(da[turn] + base * da_row), x1_row,
                  shape.Hp}, first[dense ? s1 : s + 1] - first[s], team);
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
