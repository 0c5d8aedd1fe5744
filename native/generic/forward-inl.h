// The loop over time, forward. Workers own slices of rows and meet once, after the weights are packed.

template <class Cell, class Format, bool training>
struct Forward {
  using V = typename Format::V;
  using T = typename Format::T;
  using S = typename Format::S;
  using P = typename Format::P;
  using F = Facts<Cell>;
  static constexpr int depth = Format::depth;
  // Stored as they are computed, the states of the tape serve the next step themselves; else it only records them.
  static constexpr bool on_tape = training && depth == 1;
  static_assert(Cell::late == 0 || (F::x_parts == Cell::parts && F::h_parts == Cell::parts));
  static_assert(Cell::late == 0 || Cell::kept == Cell::parts);
  const Problem& p;
  Shape<Cell, Format> shape;
  bool alone;            // whether each worker has a copy of the next three for itself
  S *panel_x, *panel_h;  // packed W, R: (blocks)(Ip or Hp)(parts · vectors · W), for the early parts, then for the late
  T* bias;               // (blocks)(parts · vectors · W), likewise
  T* states;             // (S, 2, B, Hp): states before and after the step, in turn; null if they are on the tape
  S* hidden;             // (2, B, Hp): the first of them as the product takes it; null if depth is 1 or on the tape
  S* middle;             // (B, Hp): see cells-inl.h, as the product takes it; null without late parts
  S* inputs;             // (B, Ip): x of the step, padded; null if depth is 1
  S* tape;               // see Shape; null unless training
  const S** xs;          // (B,) x of every row at the step it is at,
  S** ys;                // (B,) and its y
  int64_t x_step, y_step;  // from one step to the next

  Forward(const Problem& problem, void* kept, Carver& carver) : p(problem), shape(problem), tape((S*)kept) {
    alone = packs_alone(p);
    const int64_t copies = alone ? p.threads : 1;
    panel_x = carver.take<S>(copies * shape.Ip * F::x_parts * shape.Hp);
    panel_h = carver.take<S>(copies * shape.Hp * F::h_parts * shape.Hp);
    bias = carver.take<T>(copies * Cell::parts * shape.Hp);
    states = on_tape ? nullptr : carver.take<T>(Cell::states * 2 * shape.B * shape.Hp);
    hidden = depth == 1 || training ? nullptr : carver.take<S>(2 * shape.B * shape.Hp);
    middle = Cell::late == 0 ? nullptr : carver.take<S>(shape.B * shape.Hp);
    inputs = depth == 1 ? nullptr : carver.take<S>(shape.B * shape.Ip);
    xs = carver.take<const S*>(shape.B);
    ys = carver.take<S*>(shape.B);
    x_step = p.reverse ? -p.x_time : p.x_time, y_step = p.reverse ? -p.y_time : p.y_time;
  }

  // Blocks of G::unit_vectors vectors, G the early or the late parts; the last block may hold fewer.
  template <class G>
  int64_t blocks() const {
    return (shape.vectors + G::unit_vectors - 1) / G::unit_vectors;
  }
  template <class G>
  int block_vectors(int64_t j) const {
    const int64_t left = shape.vectors - j * G::unit_vectors;
    return int(left < G::unit_vectors ? left : G::unit_vectors);
  }

  // Where block j of a panel over `size` starts.
  template <class G>
  int64_t panel_at(int64_t j, int64_t size, int parts) const {
    return (G::begin * shape.Hp + j * G::unit_vectors * V::W * parts) * size;
  }

  template <class G>
  void pack(const Team& team) const {
    const int64_t all = blocks<G>();
    for (int64_t j = share(all, team.rank, team.size); j < share(all, team.rank + 1, team.size); ++j) {
      const int n = block_vectors<G>(j);
      const int64_t unit = j * G::unit_vectors * V::W;
      pack_gates<Format>((P*)(panel_x + panel_at<G>(j, shape.Ip, G::x_parts)), (const T*)p.W, shape.I, shape.H,
                         Cell::x_gate + G::x_first, G::x_parts, n, unit);
      pack_gates<Format>((P*)(panel_h + panel_at<G>(j, shape.Hp, G::h_parts)), (const T*)p.R, shape.H, shape.H,
                         Cell::h_gate + G::h_first, G::h_parts, n, unit);
      T* sums = bias + panel_at<G>(j, 1, G::parts);
      for (int part = G::begin; part < G::end; ++part) {
        for (int64_t u = unit; u < unit + n * V::W; ++u) {
          T sum = 0;
          if (u < shape.H && p.bW && Cell::x_gate[part] >= 0) sum += ((const T*)p.bW)[Cell::x_gate[part] * shape.H + u];
          if (u < shape.H && p.bR && Cell::h_gate[part] >= 0) sum += ((const T*)p.bR)[Cell::h_gate[part] * shape.H + u];
          *sums++ = sum;
        }
      }
    }
  }

  // What a step reads and writes, all rows: the states before and after it, what the product takes of the first one,
  // where states are recorded beside, all (B, Hp), and its share of the tape.
  struct Step {
    const T* before[Cell::states];
    T* after[Cell::states];
    const S* hidden;
    S* record[Cell::states];  // null where there is none
    S* kept;                  // (vectors)(B)(kept_row)
  };

  Step step(int64_t s) const {
    Step step{};
    for (int i = 0; i < Cell::states; ++i) {
      step.before[i] = before(i, s, 0), step.after[i] = after(i, s, 0);
      if (training && depth > 1) step.record[i] = tape + shape.after_at(i, s, 0);
    }
    if constexpr (depth == 1) {
      step.hidden = step.before[0];
    } else {
      step.hidden = product_state(s, 0);
      if constexpr (!training) step.record[0] = hidden + ((s + 1) & 1) * shape.B * shape.Hp;
    }
    if constexpr (training) step.kept = tape + shape.kept_at(s, 0, 0);
    return step;
  }

  // State i of row r before and after step s.
  T* before(int i, int64_t s, int64_t r) const {
    if constexpr (on_tape) return tape + shape.before_at(i, s, r);
    return states + ((i * 2 + (s & 1)) * shape.B + r) * shape.Hp;
  }
  T* after(int i, int64_t s, int64_t r) const {
    if constexpr (on_tape) return tape + shape.after_at(i, s, r);
    return states + ((i * 2 + ((s + 1) & 1)) * shape.B + r) * shape.Hp;
  }

  // The first state of row r before step s as the product takes it, if that is not the state itself.
  S* product_state(int64_t s, int64_t r) const {
    return training ? tape + shape.before_at(0, s, r) : hidden + ((s & 1) * shape.B + r) * shape.Hp;
  }

  // The parts of G for rows r … r+M-1 of a step in block j, which holds n vectors of units.
  template <class G, int M, int n>
  void tile(const Step& step, int64_t j, int64_t r) const {
    constexpr int N = G::parts * n, line = 64 / sizeof(S);
    constexpr int64_t kept_row = Shape<Cell, Format>::kept_row;
    const int64_t unit = j * G::unit_vectors * V::W, Hp = shape.Hp, at = r * Hp + unit;
    S* const kept = training ? step.kept + (j * G::unit_vectors * shape.B + r) * kept_row : nullptr;
    alignas(64) T sums[M][N * V::W];
    {
      V acc[M][N];
      const P *x[M], *h[M];
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        x[m] = (const P*)(depth == 1 ? xs[r + m] : inputs + (r + m) * shape.Ip);
        h[m] = (const P*)((G::begin == 0 ? step.hidden : middle) + (r + m) * Hp);
#pragma GCC unroll 8
        for (int v = 0; v < N; ++v) acc[m][v] = V::load(bias + panel_at<G>(j, 1, G::parts) + v * V::W);
      }
      // What the rows will write once their sums are there is fetched while they are computed.
#pragma GCC unroll 1
      for (int m = 0; m < M; ++m) {
        for (int u = 0; u < n * V::W; u += line) {
          expect_write(ys[r + m] + unit + u);
          for (int i = 0; on_tape && i < Cell::states; ++i) expect_write(step.after[i] + at + m * Hp + u);
          for (int i = 0; training && !on_tape && i < Cell::states; ++i) expect_write(step.record[i] + at + m * Hp + u);
        }
        for (int v = 0; training && v < n; ++v) {
          for (int k = 0; k < kept_row; k += line) expect_write(kept + (v * shape.B + m) * kept_row + k);
        }
      }
      const int64_t px = panel_at<G>(j, shape.Ip, G::x_parts), ph = panel_at<G>(j, shape.Hp, G::h_parts);
      accumulate<Format, M, N, (G::x_first - G::begin) * n, G::x_parts * n>(
          acc, x, 1, (const P*)(panel_x + px), G::x_parts * n * V::W, shape.Ip / depth);
      accumulate<Format, M, N, (G::h_first - G::begin) * n, G::h_parts * n>(
          acc, h, 1, (const P*)(panel_h + ph), G::h_parts * n * V::W, shape.h_groups());
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
        for (int i = 0; i < G::parts; ++i) part[G::begin + i] = V::load(sums[m] + (i * n + v) * V::W);
        for (int i = 0; i < Cell::states; ++i) values[i] = V::load(step.before[i] + cell);
        if constexpr (G::end < Cell::parts) {  // one kept value waits where the new state will stand
          Format::put(cut(Cell::middle(part, values, keep), shape.H - unit - v * V::W), middle + cell);
          keep[Cell::wait].store(step.after[0] + cell);
        } else {
          if constexpr (G::begin > 0) keep[Cell::wait] = V::load(step.after[0] + cell);
          Cell::point(part, values, keep);
          for (int i = 0; i < Cell::states; ++i) values[i].store(step.after[i] + cell);
          put_tail<Format>(values[0], ys[r + m] + unit + v * V::W, shape.H - unit - v * V::W);
          if constexpr (!on_tape && depth > 1) {
            values[0] = cut(values[0], shape.H - unit - v * V::W);
            for (int i = 0; i < (training ? Cell::states : 1); ++i) Format::put(values[i], step.record[i] + cell);
          }
        }
        for (int i = G::begin; training && i < G::kept_end; ++i) {
          Format::put(keep[i], kept + (v * shape.B + m) * kept_row + i * V::W);
        }
      }
    }
  }

  template <class G, int n, int M = V::rows>
  void tile_of(int m, const Step& step, int64_t j, int64_t r) const {
    if constexpr (M > 1) {
      if (m < M) return tile_of<G, n, M - 1>(m, step, j, r);
    }
    tile<G, M, n>(step, j, r);
  }

  // Rows r0 … r1-1 of a step in block j.
  template <class G, int n = G::unit_vectors>
  void block(const Step& step, int64_t j, int64_t r0, int64_t r1) const {
    if constexpr (n > 1) {
      if (block_vectors<G>(j) < n) return block<G, n - 1>(step, j, r0, r1);
    }
    for (int64_t r = r0; r < r1;) {
      const int m = tile_rows<V>(r1 - r);
      tile_of<G, n>(m, step, j, r);
      r += m;
    }
  }

  // The initial states of a row, and zero for the steps it does not make.
  void start(int64_t r) const {
    const int64_t row = p.rows.order[r], length = p.rows.length[r], t = length ? time_of(p, 0, length) : 0;
    xs[r] = (const S*)p.x + row * p.x_batch + t * p.x_time;
    ys[r] = (S*)p.y + row * p.y_batch + t * p.y_time;
    for (int i = 0; i < Cell::states; ++i) {
      const T* from = (const T*)p.init[i];
      copy_padded(before(i, 0, r), from ? from + row * shape.H : nullptr, shape.H, shape.Hp);
      if constexpr (depth > 1) record(i, r);
    }
    for (int64_t t = p.rows.length[r]; t < shape.steps; ++t) {
      S* y = (S*)p.y + row * p.y_batch + t * p.y_time;
      for (int64_t u = 0; u < shape.H; ++u) y[u] = 0;
    }
  }

  // State i of row r before the first step, as it is stored.
  void record(int i, int64_t r) const {
    if (i > 0 && !training) return;
    S* to = training ? tape + shape.before_at(i, 0, r) : product_state(0, r);
    for (int64_t u = 0; u < shape.Hp; u += V::W) Format::put(V::load(before(i, 0, r) + u), to + u);
  }

  // The states before step s of row r, if they may be reset: those after the step before, or zero.
  void reset(int64_t s, int64_t r) const {
    const bool zero = is_reset(p, s, r);
    for (int i = 0; i < Cell::states; ++i) {
      if (on_tape && s > 0) {
        const T* from = after(i, s - 1, r);
        T* to = before(i, s, r);
        for (int64_t u = 0; u < shape.Hp; ++u) to[u] = from[u];
      }
      T* state = before(i, s, r);
      for (int64_t u = 0; zero && u < shape.Hp; ++u) state[u] = 0;
      if constexpr (depth > 1) {
        if (i > 0 && !training) continue;
        S* to = training ? tape + shape.before_at(i, s, r) : product_state(s, r);
        const S* from = training && s > 0 ? tape + shape.after_at(i, s - 1, r) : to;
        for (int64_t u = 0; u < shape.Hp; ++u) to[u] = zero ? S(0) : from[u];
      }
    }
  }

  // x of row r as the product takes it, and on to the next step.
  void gather(int64_t r) const {
    S* to = inputs + r * shape.Ip;
    for (int64_t i = 0; i < shape.I; ++i) to[i] = xs[r][i];
    for (int64_t i = shape.I; i < shape.Ip; ++i) to[i] = 0;
  }

  // Write the states of a row that has made `steps` steps, its last ones.
  void finish(int64_t r, int64_t steps) const {
    const int64_t row = p.rows.order[r];
    for (int i = 0; i < Cell::states; ++i) {
      const T* from = steps > 0 ? after(i, steps - 1, r) : before(i, 0, r);
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
      for (int64_t r = r0; p.resets && r < end; ++r) reset(s, r);
      for (int64_t r = r0; depth > 1 && r < end; ++r) gather(r);
      const Step now = step(s);
      for (int64_t j = 0; j < blocks<Early<Cell>>(); ++j) block<Early<Cell>>(now, j, r0, end);
      if constexpr (Cell::late > 0) {
        for (int64_t j = 0; j < blocks<Late<Cell>>(); ++j) block<Late<Cell>>(now, j, r0, end);
      }
      for (int64_t r = r0; r < end; ++r) xs[r] += x_step, ys[r] += y_step;
    }
  }

  static void work(void* context, const Team& team) {
    Forward self = *(const Forward*)context;
    Team packers = team;
    if (self.alone) {
      packers = {0, 1, nullptr};
      self.panel_x += team.rank * self.shape.Ip * F::x_parts * self.shape.Hp;
      self.panel_h += team.rank * self.shape.Hp * F::h_parts * self.shape.Hp;
      self.bias += team.rank * Cell::parts * self.shape.Hp;
    }
    self.template pack<Early<Cell>>(packers);
    if constexpr (Cell::late > 0) self.template pack<Late<Cell>>(packers);
    packers.barrier();
    const Problem& p = self.p;
    self.slice(slice_start(p, 0, p.B, team.rank, team.size), slice_start(p, 0, p.B, team.rank + 1, team.size));
  }
};
