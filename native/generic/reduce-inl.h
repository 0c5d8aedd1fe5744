// The gradients of the weights: products of what the parts multiply with the gradients of the parts, summed over the
// rows of a lane, and from these sums the arrays of the caller.

template <class Cell, class Format>
struct Reduce {
  using V = typename Format::V;
  using T = typename Format::T;
  using P = typename Format::P;
  using F = Facts<Cell>;
  using E = Early<Cell>;
  static constexpr int64_t pass_rows = 128;  // rows of one pass over da, so that a group stays in the first cache
  static constexpr bool alike = Cell::late == 0 && F::x_first == F::h_first && F::x_parts == F::h_parts;
  static constexpr int x_end = F::x_first + F::x_parts;  // parts from here on see 1, but not x
  const Shape<Cell, Format>& shape;
  int64_t xh_row, da_row;  // columns: x, 1, h; the parts, and the middle if there are late parts

  // Columns xh … xh+n-1 of the left with `parts` parts from `part` on.
  struct Piece {
    int64_t column, columns;
    int part, parts;
    bool middle;  // the left is the middle
  };

  int pieces(Piece (&to)[4]) const {
    const int64_t I = shape.I, H = shape.H;
    int n = 0;
    if (alike) {
      to[n++] = {0, xh_row, F::x_first, F::x_parts, false};
    } else {
      to[n++] = {0, I + 1, F::x_first, F::x_parts, false};
      to[n++] = {I + 1, H, E::h_first, E::h_parts, false};
    }
    if (Cell::late > 0) to[n++] = {I + 1, H, E::end, Cell::late, true};
    if (x_end < Cell::parts) to[n++] = {I, 1, x_end, Cell::parts - x_end, false};
    return n;
  }

  // sums (xh_row, da_row) += leftᵀ·da over `rows` rows, the tiles of one of `members` workers.
  void add(const P* left, const P* da, int64_t rows, T* sums, int member, int members) const {
    Piece piece[4];
    const int n = pieces(piece);
    int64_t all = 0;
    for (int i = 0; i < n; ++i) all += tiles_of<V>(piece[i].columns, piece[i].parts * shape.vectors);
    for (int64_t r = 0; r < rows; r += pass_rows) {
      Tiles tiles{share(all, member, members), share(all, member + 1, members), 0};
      for (int i = 0; i < n; ++i) {
        const Piece& k = piece[i];
        Product<Format> q{};
        q.a = k.middle ? da + r * da_row + Cell::parts * shape.Hp : left + r * xh_row + k.column;
        q.a_row = 1, q.a_step = k.middle ? da_row : xh_row;
        q.panel = da + r * da_row + k.part * shape.Hp, q.p_step = da_row;
        q.size = rows - r < pass_rows ? rows - r : pass_rows;
        q.out = sums + k.column * da_row + k.part * shape.Hp, q.out_row = da_row, q.add = true;
        product_share(q, k.columns, k.parts * shape.vectors, tiles);
      }
    }
  }

  // sums[0] += sums[1] + …, in this order, for this worker's share of their elements.
  void fold(T* sums, int64_t lanes, const Team& team) const {
    const int64_t size = xh_row * da_row / V::W;  // whole vectors
    for (int64_t lane = 1; lane < lanes; ++lane) {
      const T* from = sums + lane * xh_row * da_row;
      for (int64_t i = share(size, team.rank, team.size); i < share(size, team.rank + 1, team.size); ++i) {
        (V::load(sums + i * V::W) + V::load(from + i * V::W)).store(sums + i * V::W);
      }
    }
  }

  // The gradients of the weights from the sums, for this worker's share of the units.
  void unpack(const Gradient& g, const T* sums, const Team& team) const {
    const int64_t v0 = share(shape.vectors, team.rank, team.size), v1 = share(shape.vectors, team.rank + 1, team.size);
    for (int part = 0; part < Cell::parts; ++part) {
      const T *x = sums + part * shape.Hp, *bias = x + shape.I * da_row, *h = bias + da_row;
      if (const int gate = Cell::x_gate[part]; gate >= 0) unpack_part(g.dW, g.dbW, gate, shape.I, x, bias, v0, v1);
      if (const int gate = Cell::h_gate[part]; gate >= 0) unpack_part(g.dR, g.dbR, gate, shape.H, h, bias, v0, v1);
    }
  }

  // from (size, da_row) and bias (da_row,) in; to_weight (G·H, size) and to_bias (G·H,) out, each may be null.
  void unpack_part(void* to_weight, void* to_bias, int gate, int64_t size, const T* from, const T* bias, int64_t v0,
                   int64_t v1) const {
    const int64_t row = gate * shape.H;
    for (int64_t unit = v0 * V::W; unit < v1 * V::W && unit < shape.H; unit += V::W) {
      if (to_weight) unpack_units<V>((T*)to_weight + row * size, from, da_row, size, shape.H, unit);
      if (to_bias) put_tail<Plain<V>>(V::load(bias + unit), (T*)to_bias + row + unit, shape.H - unit);
    }
  }
};
