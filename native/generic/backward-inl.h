// The loop over time, backward, in chunks of time. In a chunk every worker walks its rows and writes the gradients of
// the parts (da) beside what they multiply (xh: x, 1, h before the step); then it adds the product of both, which is
// the gradient of W, bias and R, to the sums of each of its lanes (lanes-inl.h). For late parts the middle, which
// stands behind the parts in da, takes the place of h. Lanes and chunks depend on the sizes alone, and where workers
// share a lane they share results, never a sum: the bits do not depend on the number of threads.
//
// That product sums over rows, `depth` of them at a time: with depth 2 two steps of a row are paired, in `left` (xh)
// and `right` (da), the second one zero where it is missing.

template <class Cell, class Format>
struct Backward {
  using V = typename Format::V;
  using T = typename Format::T;
  using S = typename Format::S;
  using P = typename Format::P;
  using F = Facts<Cell>;
  static constexpr int depth = Format::depth;
  static constexpr int da_parts = Cell::parts + (Cell::late > 0);  // with the middle
  static constexpr int64_t chunk_bytes = 256 << 10;  // of a lane's da and xh, so that they stay in the second cache
  static constexpr int64_t fewest_rows = 128;        // in a chunk, so that reading and writing the sums does not count
  const Problem& p;
  const Gradient& g;
  Shape<Cell, Format> shape;
  const S* tape;           // see Shape, in
  int64_t xh_row, da_row;  // columns of xh and of da
  Lanes lanes;
  int64_t chunk_rows;      // most rows of a lane in a chunk
  int64_t input_vectors;   // vectors of dx
  bool alone;              // whether each worker has a copy of the next two for itself
  S* panel_h;              // R for dh: (⌈vectors/4⌉)(h_parts · Hp)(4 · W)
  S* panel_x;              // W for dx: (⌈input_vectors/4⌉)(x_parts · Hp)(4 · W)
  T* sums;                 // (lanes, xh_row, da_row): Σ xh·da over the chunks so far
  T* ds;                   // (S, B, Hp): gradients of the states, in walk order
  T* dmiddle;              // (B, Hp): gradient of the middle; null without late parts
  S *xh, *da;              // (lanes, chunk_rows, xh_row or da_row): of the chunk
  P *left, *right;         // the same in pairs; null if depth is 1

  Backward(const Problem& problem, const Gradient& gradient, const void* kept, Carver& carver)
      : p(problem), g(gradient), shape(problem), tape((const S*)kept), xh_row(shape.I + 1 + shape.H),
        da_row(da_parts * shape.Hp + shape.lanes),  // one vector more, so that rows do not fall on the same cache sets
        lanes(p, size_t(xh_row * da_row) * sizeof(T), carver) {
    chunk_rows = chunk_bytes / int64_t(sizeof(T)) / (xh_row + da_row);
    if (chunk_rows < fewest_rows) chunk_rows = fewest_rows;
    if (chunk_rows < depth * lanes.widest()) chunk_rows = depth * lanes.widest();
    if (chunk_rows > shape.steps * lanes.widest()) chunk_rows = shape.steps * lanes.widest();
    input_vectors = (shape.I + V::W - 1) / V::W;
    alone = packs_alone(p);
    const int64_t copies = alone ? p.threads : 1;
    panel_h = carver.take<S>(copies * F::h_parts * shape.Hp * shape.Hp);
    panel_x = g.dx ? carver.take<S>(copies * F::x_parts * shape.Hp * input_vectors * V::W) : nullptr;
    sums = carver.take<T>(lanes.count * xh_row * da_row);
    ds = carver.take<T>(Cell::states * shape.B * shape.Hp);
    dmiddle = Cell::late == 0 ? nullptr : carver.take<T>(shape.B * shape.Hp);
    const int64_t rows = lanes.count * chunk_rows;
    xh = carver.take<S>(rows * xh_row);
    da = carver.take<S>(rows * da_row);
    left = depth == 1 ? nullptr : carver.take<P>(rows * xh_row);
    right = depth == 1 ? nullptr : carver.take<P>(rows * da_row);
  }

  T* sums_of(int64_t lane) const { return sums + lane * xh_row * da_row; }
  Reduce<Cell, Format> reduce() const { return {shape, xh_row, da_row}; }
  T* ds_row(int i, int64_t r) const { return ds + (i * shape.B + r) * shape.Hp; }

  // Where row r at step s of the chunk from s0 on stands in xh and da.
  int64_t place(int64_t lane, int64_t s0, int64_t s, int64_t r) const {
    return lane * chunk_rows + lanes.rows(lane, s0, s) + r - lanes.start[lane];
  }

  void pack(const Team& team) const {
    const int64_t h_groups = (shape.vectors + 3) / 4, x_groups = g.dx ? (input_vectors + 3) / 4 : 0;
    const int64_t all = h_groups + x_groups;
    for (int64_t j = share(all, team.rank, team.size); j < share(all, team.rank + 1, team.size); ++j) {
      const bool h = j < h_groups;
      const int64_t i = h ? j : j - h_groups, start = 4 * i * V::W;
      if (h) {
        pack_columns<Format>((P*)(panel_h + start * F::h_parts * shape.Hp), (const T*)p.R, shape.H, shape.H, shape.Hp,
                             Cell::h_gate + F::h_first, F::h_parts, group(shape.vectors, i), start);
      } else {
        pack_columns<Format>((P*)(panel_x + start * F::x_parts * shape.Hp), (const T*)p.W, shape.I, shape.H, shape.Hp,
                             Cell::x_gate + F::x_first, F::x_parts, group(input_vectors, i), start);
      }
    }
  }

  // Sums of zero, the gradients of the last states, and zero in dx for the steps that a row does not make.
  void start(const Duty& duty) const {
    for (int64_t lane = duty.lane; lane < duty.end; ++lane) {
      const int64_t size = xh_row * da_row, to = share(size, duty.member + 1, duty.members);
      for (int64_t i = share(size, duty.member, duty.members); i < to; ++i) sums_of(lane)[i] = 0;
      for (int64_t r = duty.first[lane]; r < duty.last[lane]; ++r) start_row(r);
    }
  }

  void start_row(int64_t r) const {
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

  // What row r reads in steps s0 … s1-1 but for the tape's kept values: x, 1 and h for the sums, and dy where the first
  // part of da will stand. Along the time of one row memory is walked in order; across the rows of one step it is not.
  void gather(int64_t lane, int64_t s0, int64_t s1, int64_t r) const {
    const int64_t row = p.rows.order[r], length = p.rows.length[r];
    const int64_t ahead = (r + 4 < shape.B ? p.rows.order[r + 4] - row : 0) * g.dy_batch;  // fetched meanwhile
    for (int64_t s = s0; s < s1 && s < length; ++s) {
      const int64_t t = time_of(p, s, length), at = place(lane, s0, s, r);
      const S *x = (const S*)p.x + row * p.x_batch + t * p.x_time, *h = tape + shape.before_at(0, s, r);
      S* to = xh + at * xh_row;
      for (int64_t i = 0; i < shape.I; ++i) to[i] = x[i];
      to += shape.I;
      *to++ = Format::narrow(1);
      for (int64_t u = 0; u < shape.H; u += V::W) put_tail<Format>(Format::get(h + u), to + u, shape.H - u);
      if (!g.dy) continue;
      const S* dy = (const S*)g.dy + row * g.dy_batch + t * g.dy_time;
      S* out = da + at * da_row;
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
          const V middle = Cell::point_grad(kept, before, dm, grad, part);
          Format::put(cut(middle, shape.H - unit), out + Cell::parts * shape.Hp + unit);
        } else {
          Cell::point_grad(kept, before, after, grad, part);
        }
        for (int i = 0; i < Cell::states; ++i) grad[i].store(ds_row(i, r) + unit);
      }
      for (int i = G::begin; i < G::end; ++i) Format::put(cut(part[i], shape.H - unit), out + i * shape.Hp + unit);
    }
  }

  // Row r of steps s and s+1 of a chunk as a pair; the second is zero if the chunk or the row ends before.
  void pair(int64_t lane, int64_t s0, int64_t s, int64_t s1, int64_t to, int64_t r) const {
    if constexpr (depth > 1) {
      const bool two = s + 1 < s1 && p.rows.length[r] > s + 1;
      const int64_t at = place(lane, s0, s, r), next = two ? place(lane, s0, s + 1, r) : at;
      pair_row(left + to * xh_row, xh + at * xh_row, xh + next * xh_row, xh_row, two);
      pair_row(right + to * da_row, da + at * da_row, da + next * da_row, da_parts * shape.Hp, two);
    }
  }

  // Rows r0 … r1-1 of a step whose gradients of the parts start at `da`.
  struct Run {
    S* da;
    int64_t r0, r1;
  };

  // What the rows of some lanes send through R by the parts of G: to `out` (B, Hp), ds or dmiddle.
  template <class G>
  void through_R(const Run* runs, int64_t n_runs, T* out, bool add) const {
    Product<Format> q{};
    q.a_row = da_row / depth, q.a_step = 1, q.size = G::h_parts * shape.Hp / depth;
    q.out_row = shape.Hp, q.add = add;
    for (int64_t j = 0; 4 * j < shape.vectors; ++j) {
      const int n = group(shape.vectors, j);
      const int64_t skip = 4 * j * F::h_parts + n * (G::h_first - F::h_first);
      q.panel = (const P*)panel_h + skip * V::W * shape.Hp / depth, q.p_step = n * V::W;
      for (int64_t i = 0; i < n_runs; ++i) {
        const Run& run = runs[i];
        for (int64_t r = run.r0; r < run.r1;) {
          const int m = tile_rows<V>(run.r1 - r);
          q.a = (const P*)(run.da + (r - run.r0) * da_row + G::h_first * shape.Hp);
          q.out = out + r * shape.Hp + 4 * j * V::W;
          product<Format>(m, n, q);
          r += m;
        }
      }
    }
  }

  // dx of the rows of a run at step s, for one group of inputs.
  void through_W(const Run& run, int64_t s, int64_t j) const {
    alignas(64) T tile[V::rows][4 * V::W];
    const int n = group(input_vectors, j);
    Product<Format> q{};
    q.a_row = da_row / depth, q.a_step = 1, q.size = F::x_parts * shape.Hp / depth, q.p_step = n * V::W;
    q.panel = (const P*)panel_x + 4 * j * V::W * q.size, q.out = tile[0], q.out_row = 4 * V::W;
    for (int64_t r = run.r0; r < run.r1;) {
      const int m = tile_rows<V>(run.r1 - r);
      q.a = (const P*)(run.da + (r - run.r0) * da_row + F::x_first * shape.Hp);
      product<Format>(m, n, q);
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

  // This worker's rows of a lane that run at step s of the chunk from s0 on.
  Run run(const Duty& duty, int64_t lane, int64_t s0, int64_t s) const {
    const int64_t r0 = duty.first[lane], r1 = duty.last[lane];
    return {da + place(lane, s0, s, r0) * da_row, r0, r0 + Lanes::running(p, s, r0, r1)};
  }

  // `point` for the rows of some lanes.
  template <class G>
  void points(const Run* runs, int64_t n, int64_t s) const {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t r = runs[i].r0; r < runs[i].r1; ++r) point<G>(runs[i].da + (r - runs[i].r0) * da_row, s, r);
    }
  }

  // One step of the walk for the rows of some lanes.
  void step(const Run* runs, int64_t n, int64_t s) const {
    if constexpr (Cell::late > 0) {
      points<Late<Cell>>(runs, n, s);
      through_R<Late<Cell>>(runs, n, dmiddle, false);
    }
    points<Early<Cell>>(runs, n, s);
    through_R<Early<Cell>>(runs, n, ds, Cell::direct);
    for (int64_t i = 0; p.resets && i < n; ++i) {
      for (int64_t r = runs[i].r0; r < runs[i].r1; ++r) {
        if (!is_reset(p, s, r)) continue;
        for (int64_t u = 0; u < Cell::states * shape.Hp; ++u) ds_row(u / shape.Hp, r)[u % shape.Hp] = 0;
      }
    }
  }

  // Rows of a lane in a chunk once its steps are paired.
  int64_t pairs(int64_t lane, int64_t s0, int64_t s1) const {
    int64_t n = 0;
    for (int64_t s = s0; s < s1; s += 2) n += lanes.rows(lane, s, s + 1);
    return n;
  }

  // Steps s1-1 … s0 of this worker's rows.
  void walk(const Duty& duty, int64_t s0, int64_t s1) const {
    Run runs[Lanes::most] = {};
    const int64_t n = duty.end - duty.lane;
    for (int64_t lane = duty.lane; lane < duty.end; ++lane) {
      for (int64_t r = duty.first[lane]; r < duty.last[lane]; ++r) gather(lane, s0, s1, r);
    }
    for (int64_t s = s1 - 1; s >= s0; --s) {
      for (int64_t i = 0; i < n; ++i) runs[i] = run(duty, duty.lane + i, s0, s);
      step(runs, n, s);
      for (int64_t i = 0; depth > 1 && (s - s0) % 2 == 0 && i < n; ++i) {
        const int64_t lane = duty.lane + i, to = lane * chunk_rows + pairs(lane, s0, s) - lanes.start[lane];
        for (int64_t r = runs[i].r0; r < runs[i].r1; ++r) pair(lane, s0, s, s1, to + r, r);
      }
    }
    for (int64_t j = 0; g.dx && 4 * j < input_vectors; ++j) {
      for (int64_t s = s1 - 1; s >= s0; --s) {
        for (int64_t i = 0; i < n; ++i) through_W(run(duty, duty.lane + i, s0, s), s, j);
      }
    }
  }

  // Add a chunk to the sums of this worker's lanes.
  void add(const Duty& duty, int64_t s0, int64_t s1) const {
    for (int64_t lane = duty.lane; lane < duty.end; ++lane) {
      const int64_t at = lane * chunk_rows, rows = depth > 1 ? pairs(lane, s0, s1) : lanes.rows(lane, s0, s1);
      const P *a = depth > 1 ? left : (const P*)xh, *b = depth > 1 ? right : (const P*)da;
      reduce().add(a + at * xh_row, b + at * da_row, rows, sums_of(lane), duty.member, duty.members);
    }
  }

  static void work(void* context, const Team& team) {
    Backward self = *(const Backward*)context;
    const Duty duty(self.p, self.lanes, team);
    self.start(duty);
    if (self.alone) {
      self.panel_h += team.rank * F::h_parts * self.shape.Hp * self.shape.Hp;
      if (self.g.dx) self.panel_x += team.rank * F::x_parts * self.shape.Hp * self.input_vectors * V::W;
    }
    self.pack(self.alone ? Team{0, 1, nullptr} : team);
    const bool shared = team.size > self.lanes.count;  // then the members of a lane wait for each other
    if (!self.alone || shared) team.barrier();
    for (int64_t s1 = self.p.T, s0; s1 > 0; s1 = s0) {
      s0 = self.lanes.chunk_start(s1, self.chunk_rows);
      self.walk(duty, s0, s1);
      if (shared) team.barrier();
      self.add(duty, s0, s1);
      if (shared) team.barrier();
    }
    team.barrier();
    self.reduce().fold(self.sums, self.lanes.count, team);
    team.barrier();
    self.reduce().unpack(self.g, self.sums, team);
    for (int64_t lane = duty.lane; lane < duty.end; ++lane) {
      for (int64_t r = duty.first[lane]; r < duty.last[lane]; ++r) self.finish(r);
    }
  }
};
