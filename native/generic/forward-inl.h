// The loop over time, forward. Workers own slices of rows and meet once, after the weights are packed.

template <class Cell, class Format>
struct Forward {
  using V = typename Format::V;
  using T = typename Format::T;
  using S = typename Format::S;
  using P = typename Format::P;
  using F = Facts<Cell>;
  static constexpr int depth = Format::depth;
  static_assert(Cell::late == 0 || (F::x_parts == Cell::parts && F::h_parts == Cell::parts));
  static_assert(Cell::late == 0 || Cell::kept == Cell::parts);
  const Problem& p;
  Shape<Cell, Format> shape;
  S* tape;               // see Shape; null unless training
  // Stored as they are computed, the states of the tape serve the next step themselves; else it only records them.
  bool on_tape;
  bool alone;            // whether each worker has a copy of the next three for itself
  S *panel_x, *panel_h;  // packed W, R: (blocks)(Ip or Hp)(parts · vectors · W), for the early parts, then for the late
  T* bias;               // (blocks)(parts · vectors · W), likewise
  T* states;             // (S, 2, B, Hp): states before and after the step, in turn; null if they are on the tape
  S* hidden;             // (2, B, Hp): the first of them as the product takes it; null if depth is 1 or on the tape
  S* middle;             // (B, Hp): see cells-inl.h, as the product takes it; null without late parts
  S* padded;             // (B, Ip): x of the step, padded; null if depth is 1
  const P** inputs;      // (B,) x of the step as the product takes it: of `padded`, or xs itself
  const S** xs;          // (B,) x of every row at the step it is at,
  S** ys;                // (B,) and its y
  int64_t x_step, y_step;  // from one step to the next

  Forward(const Problem& problem, void* kept, Carver& carver)
      : p(problem), shape(problem), tape((S*)kept), on_tape(tape && depth == 1) {
    alone = packs_alone(p);
    const int64_t copies = alone ? p.threads : 1;
    panel_x = carver.take<S>(copies * shape.Ip * F::x_parts * shape.Hp);
    panel_h = carver.take<S>(copies * shape.Hp * F::h_parts * shape.Hp);
    bias = carver.take<T>(copies * Cell::parts * shape.Hp);
    states = on_tape ? nullptr : carver.take<T>(Cell::states * 2 * shape.B * shape.Hp);
    hidden = depth == 1 || tape ? nullptr : carver.take<S>(2 * shape.B * shape.Hp);
    middle = Cell::late == 0 ? nullptr : carver.take<S>(shape.B * shape.Hp);
    padded = depth == 1 ? nullptr : carver.take<S>(shape.B * shape.Ip);
    xs = carver.take<const S*>(shape.B);
    inputs = depth == 1 ? (const P**)xs : carver.take<const P*>(shape.B);
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
  // where states are recorded, all (B, Hp), and its share of the tape.
  struct Step {
    const T* before[Cell::states];
    T* after[Cell::states];
    const S* hidden;
    S* record[Cell::states];  // null where there is none
    S* kept;                  // (vectors)(B)(kept_row); null unless training
  };

  Step step(int64_t s) const {
    Step step{};
    for (int i = 0; i < Cell::states; ++i) {
      step.before[i] = before(i, s, 0), step.after[i] = after(i, s, 0), step.record[i] = record_after(i, s, 0);
    }
    step.hidden = depth == 1 ? (const S*)step.before[0] : record_before(0, s, 0);
    step.kept = tape ? tape + shape.kept_at(s, 0, 0) : nullptr;
    return step;
  }

  // State i of row r before and after step s.
  T* before(int i, int64_t s, int64_t r) const {
    if (on_tape) return (T*)record_before(i, s, r);
    return states + ((i * 2 + (s & 1)) * shape.B + r) * shape.Hp;
  }
  T* after(int i, int64_t s, int64_t r) const {
    if (on_tape) return (T*)record_after(i, s, r);
    return states + ((i * 2 + ((s + 1) & 1)) * shape.B + r) * shape.Hp;
  }

  // The same as the tape keeps it or the product takes it; null if neither does.
  S* record_before(int i, int64_t s, int64_t r) const {
    if (tape) return tape + shape.before_at(i, s, r);
    return i == 0 && hidden ? hidden + ((s & 1) * shape.B + r) * shape.Hp : nullptr;
  }
  S* record_after(int i, int64_t s, int64_t r) const {
    return tape ? tape + shape.after_at(i, s, r) : record_before(i, s + 1, r);
  }

  // The parts of G for rows r0 … r1-1 of a step. A copy of its own without a tape, where the kept values need no
  // registers, is faster.
  template <class G, bool training>
  REKUR_APART void tiles(const Step& step, int64_t r0, int64_t r1) const {
    alignas(64) T out[V::rows][4 * V::W];
    Sums<Format> q;
    q.x_size = shape.Ip / depth, q.h_size = shape.h_groups(), q.h_row = shape.Hp / depth, q.out = out[0];
    const Even tile(int(r1 - r0), V::rows);
    for (int64_t j = 0, count; j < blocks<G>(); j += count) {
      const int n = G::unit_vectors == 1 ? 1 : block_vectors<G>(j);
      const int64_t first = j * G::unit_vectors;
      count = r1 - r0 == 1 && (j + 2) * G::unit_vectors <= shape.vectors ? 2 : 1;  // blocks at once
      q.panel_x = (const P*)(panel_x + panel_at<G>(j, shape.Ip, G::x_parts));
      q.panel_h = (const P*)(panel_h + panel_at<G>(j, shape.Hp, G::h_parts));
      q.bias = bias + panel_at<G>(j, 1, G::parts);
      int64_t r = r0;
      for (int k = 0; k < tile.count; ++k) {
        const int m = tile.size(k);
        q.x = inputs + r, q.h = (const P*)((G::begin == 0 ? step.hidden : middle) + r * shape.Hp);
#pragma GCC unroll 1
        for (int i = 0; i < m; ++i) expect<training>(step, first, int(count) * n, r + i);
        count == 2 ? sums_two<Format, G::parts - G::x_parts>(q)
                   : sums<Format, G::parts - G::x_parts>(m, G::parts * n, q);
        // Row i of the tile, or block i of the one row.
#pragma GCC unroll 1
        for (int i = 0; i < m * count; ++i) {
          const int64_t row = count == 2 ? r : r + i, vector = count == 2 ? first + i * n : first;
#pragma GCC unroll 1
          for (int v = 0; v < n; ++v) point<G, training>(step, vector + v, row, out[i] + v * V::W, n * V::W);
        }
        r += m;
      }
    }
  }

  // What row r will write of n vectors of units once their sums are there is fetched while they are computed.
  template <bool training>
  inline void expect(const Step& step, int64_t first, int n, int64_t r) const {
    constexpr int line = 64 / sizeof(S);
    for (int64_t u = first * V::W; u < (first + n) * V::W; u += line) {
      expect_write(ys[r] + u);
      for (int i = 0; training && i < Cell::states; ++i) expect_write(step.record[i] + r * shape.Hp + u);
    }
    for (int64_t v = first; training && v < first + n; ++v) {
      S* const kept = step.kept + (v * shape.B + r) * shape.kept_row;
      for (int k = 0; k < shape.kept_row; k += line) expect_write(kept + k);
    }
  }

  // Row r of vector v of the units once the sums of the parts of G stand in `sums`, `apart` from one to the next.
  template <class G, bool training>
  REKUR_INLINE void point(const Step& step, int64_t v, int64_t r, const T* sums, int64_t apart) const {
    const int64_t unit = v * V::W, at = r * shape.Hp + unit;
    V part[Cell::parts], values[Cell::states], keep[Cell::kept + 1];
    for (int i = 0; i < G::parts; ++i) part[G::begin + i] = V::load(sums + i * apart);
    for (int i = 0; i < Cell::states; ++i) values[i] = V::load(step.before[i] + at);
    if constexpr (G::end < Cell::parts) {  // one kept value waits where the new state will stand
      Format::put(cut(Cell::middle(part, values, keep), shape.H - unit), middle + at);
      keep[Cell::wait].store(step.after[0] + at);
    } else {
      if constexpr (G::begin > 0) keep[Cell::wait] = V::load(step.after[0] + at);
      Cell::point(part, values, keep);
      for (int i = 0; i < Cell::states; ++i) values[i].store(step.after[i] + at);
      put_tail<Format>(values[0], ys[r] + unit, shape.H - unit);
      if constexpr (depth > 1) {
        values[0] = cut(values[0], shape.H - unit);
        for (int i = 0; i < (training ? Cell::states : 1); ++i) Format::put(values[i], step.record[i] + at);
      }
    }
    S* const kept = training ? step.kept + (v * shape.B + r) * shape.kept_row : nullptr;
    for (int i = G::begin; training && i < G::kept_end; ++i) Format::put(keep[i], kept + i * V::W);
  }

  // The initial states of a row, and zero for the steps it does not make.
  void start(int64_t r) const {
    const int64_t row = p.rows.order[r], length = p.rows.length[r], t = length ? time_of(p, 0, length) : 0;
    xs[r] = (const S*)p.x + row * p.x_batch + t * p.x_time;
    ys[r] = (S*)p.y + row * p.y_batch + t * p.y_time;
    for (int i = 0; i < Cell::states; ++i) {
      const T* from = (const T*)p.init[i];
      copy_padded(before(i, 0, r), from ? from + row * shape.H : nullptr, shape.H, shape.Hp);
      S* to = depth > 1 ? record_before(i, 0, r) : nullptr;
      for (int64_t u = 0; to && u < shape.Hp; u += V::W) Format::put(V::load(before(i, 0, r) + u), to + u);
    }
    for (int64_t t = p.rows.length[r]; t < shape.steps; ++t) {
      S* y = (S*)p.y + row * p.y_batch + t * p.y_time;
      for (int64_t u = 0; u < shape.H; ++u) y[u] = 0;
    }
  }

  // The states before step s of row r, if they may be reset: those after the step before, or zero.
  void reset(int64_t s, int64_t r) const {
    const bool zero = is_reset(p, s, r);
    for (int i = 0; i < Cell::states; ++i) {
      carry(before(i, s, r), s > 0 ? after(i, s - 1, r) : nullptr, zero);
      if (depth > 1) carry(record_before(i, s, r), s > 0 ? record_after(i, s - 1, r) : nullptr, zero);
    }
  }

  // One row of a state or of what is recorded: zero, or what stands in `from`.
  template <class N>
  void carry(N* to, const N* from, bool zero) const {
    if (!to || (!zero && (!from || from == to))) return;
    for (int64_t u = 0; u < shape.Hp; ++u) to[u] = zero ? N(0) : from[u];
  }

  // x of row r as the product takes it, and on to the next step.
  void gather(int64_t r) const {
    S* to = padded + r * shape.Ip;
    inputs[r] = (const P*)to;
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
      tape ? tiles<Early<Cell>, true>(now, r0, end) : tiles<Early<Cell>, false>(now, r0, end);
      if constexpr (Cell::late > 0) {
        tape ? tiles<Late<Cell>, true>(now, r0, end) : tiles<Late<Cell>, false>(now, r0, end);
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
