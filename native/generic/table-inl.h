// The functions of a target's table: from the number of a cell and a dtype to the template instances.

template <class Cell>
static constexpr CellFacts facts_of() {
  return {Cell::name, Cell::gates, Cell::states, Cell::gate_names, Cell::state_names};
}

static const CellFacts cell_facts[] = {facts_of<Rnn>(), facts_of<ReluRnn>(), facts_of<Lstm>(), facts_of<Gru>(),
                                       facts_of<GruBefore>()};
static constexpr int cell_count = 5;

template <class Cell, class Format>
struct Entry {
  static Need need(const Problem& p, bool backward) {
    Carver carver{nullptr, 0};
    if (backward) {
      Gradient g{};
      g.dx = &carver;  // any pointer: room for dx is counted whether it is wanted or not
      const Backward<Cell, Format> counted(p, g, nullptr, carver);
      return {carver.used, 0};
    }
    Carver trained{nullptr, 0};
    const Forward<Cell, Format> counted(p, nullptr, carver), counted_too(p, &trained, trained);  // any tape
    const Shape<Cell, Format> shape(p);
    return {carver.used > trained.used ? carver.used : trained.used, shape.tape_bytes()};
  }
  static void forward(const Problem& p, void* tape, void* scratch) {
    Carver carver{(char*)scratch, 0};
    Forward<Cell, Format> run(p, tape, carver);
    run_team(p.threads, &Forward<Cell, Format>::work, &run);
  }
  static void backward(const Problem& p, const Gradient& g, const void* tape, void* scratch) {
    Carver carver{(char*)scratch, 0};
    Backward<Cell, Format> run(p, g, tape, carver);
    run_team(p.threads, &Backward<Cell, Format>::work, &run);
  }
};

// The functions of one cell in one format.
struct Functions {
  Need (*need)(const Problem&, bool backward);
  void (*forward)(const Problem&, void* tape, void* scratch);
  void (*backward)(const Problem&, const Gradient&, const void* tape, void* scratch);
};

template <class Cell, class Format>
static constexpr Functions functions_of() {
  return {Entry<Cell, Format>::need, Entry<Cell, Format>::forward, Entry<Cell, Format>::backward};
}

template <class Cell>
static const Functions& functions_for(Dtype dtype) {
#ifdef REKUR_BF16_ONLY
  static constexpr Functions half = functions_of<Cell, Half>();
  return (void)dtype, half;
#else
  static constexpr Functions all[] = {functions_of<Cell, Plain<F32>>(), functions_of<Cell, Plain<F64>>(),
                                      functions_of<Cell, Half>()};  // in the order of Dtype
  return all[int(dtype)];
#endif
}

static const Functions& functions(int cell, Dtype dtype) {
  switch (cell) {
    case 0: return functions_for<Rnn>(dtype);
    case 1: return functions_for<ReluRnn>(dtype);
    case 2: return functions_for<Lstm>(dtype);
    case 3: return functions_for<Gru>(dtype);
    default: return functions_for<GruBefore>(dtype);
  }
}

static Need need(int cell, Dtype dtype, const Problem& p, bool backward) {
  return functions(cell, dtype).need(p, backward);
}

static void forward(int cell, Dtype dtype, const Problem& p, void* tape, void* scratch) {
  functions(cell, dtype).forward(p, tape, scratch);
}

static void backward(int cell, Dtype dtype, const Problem& p, const Gradient& g, const void* tape, void* scratch) {
  functions(cell, dtype).backward(p, g, tape, scratch);
}

#ifndef REKUR_BF16_ONLY
template <class V>
static void math_of(Function f, const typename V::T* in, typename V::T* out, int64_t n) {
  for (int64_t i = 0; i < n; i += V::W) {
    const V x = get_tail<Plain<V>>(in + i, n - i);
    put_tail<Plain<V>>(f == Function::exp ? exp(x) : f == Function::tanh ? tanh(x) : sigmoid(x), out + i, n - i);
  }
}

static void math(Function f, Dtype dtype, const void* in, void* out, int64_t n) {
  if (dtype == Dtype::float32) return math_of<F32>(f, (const float*)in, (float*)out, n);
  math_of<F64>(f, (const double*)in, (double*)out, n);
}
#endif
