// The functions of a target's table: from the number of a cell and a dtype to the template instances.

template <class Cell>
static constexpr CellFacts facts_of() {
  return {Cell::name, Cell::gates, Cell::states, Cell::gate_names, Cell::state_names};
}

static const CellFacts cell_facts[] = {facts_of<Rnn>(), facts_of<ReluRnn>(), facts_of<Lstm>(), facts_of<Gru>()};
static constexpr int cell_count = 4;

template <class Cell, class V>
struct Entry {
  static Need need(const Problem& p, bool backward) {
    Carver carver{nullptr, 0};
    if (backward) {
      Gradient g{};
      g.dx = &carver;  // any pointer: room for dx is counted whether it is wanted or not
      const Backward<Cell, V> counted(p, g, nullptr, carver);
      return {carver.used, 0};
    }
    const Forward<Cell, V, false> counted(p, nullptr, carver);
    const Shape<Cell, V> shape(p);
    return {carver.used, shape.tape_bytes()};
  }
  static void forward(const Problem& p, void* tape, void* scratch, bool training) {
    Carver carver{(char*)scratch, 0};
    if (training) {
      Forward<Cell, V, true> run(p, tape, carver);
      run_team(p.threads, &Forward<Cell, V, true>::work, &run);
    } else {
      Forward<Cell, V, false> run(p, nullptr, carver);
      run_team(p.threads, &Forward<Cell, V, false>::work, &run);
    }
  }
  static void backward(const Problem& p, const Gradient& g, const void* tape, void* scratch) {
    Carver carver{(char*)scratch, 0};
    Backward<Cell, V> run(p, g, tape, carver);
    run_team(p.threads, &Backward<Cell, V>::work, &run);
  }
};

template <class V>
static Need need_of(int cell, const Problem& p, bool backward) {
  switch (cell) {
    case 0: return Entry<Rnn, V>::need(p, backward);
    case 1: return Entry<ReluRnn, V>::need(p, backward);
    case 2: return Entry<Lstm, V>::need(p, backward);
    default: return Entry<Gru, V>::need(p, backward);
  }
}

template <class V>
static void forward_of(int cell, const Problem& p, void* tape, void* scratch, bool training) {
  switch (cell) {
    case 0: return Entry<Rnn, V>::forward(p, tape, scratch, training);
    case 1: return Entry<ReluRnn, V>::forward(p, tape, scratch, training);
    case 2: return Entry<Lstm, V>::forward(p, tape, scratch, training);
    default: return Entry<Gru, V>::forward(p, tape, scratch, training);
  }
}

template <class V>
static void backward_of(int cell, const Problem& p, const Gradient& g, const void* tape, void* scratch) {
  switch (cell) {
    case 0: return Entry<Rnn, V>::backward(p, g, tape, scratch);
    case 1: return Entry<ReluRnn, V>::backward(p, g, tape, scratch);
    case 2: return Entry<Lstm, V>::backward(p, g, tape, scratch);
    default: return Entry<Gru, V>::backward(p, g, tape, scratch);
  }
}

template <class V>
static void math_of(Function f, const typename V::T* in, typename V::T* out, int64_t n) {
  for (int64_t i = 0; i < n; i += V::W) {
    const V x = load_tail<V>(in + i, n - i);
    store_tail(f == Function::exp ? exp(x) : f == Function::tanh ? tanh(x) : sigmoid(x), out + i, n - i);
  }
}

static Need need(int cell, Dtype dtype, const Problem& p, bool backward) {
  return dtype == Dtype::float32 ? need_of<F32>(cell, p, backward) : need_of<F64>(cell, p, backward);
}

static void forward(int cell, Dtype dtype, const Problem& p, void* tape, void* scratch, bool training) {
  if (dtype == Dtype::float32) return forward_of<F32>(cell, p, tape, scratch, training);
  forward_of<F64>(cell, p, tape, scratch, training);
}

static void backward(int cell, Dtype dtype, const Problem& p, const Gradient& g, const void* tape, void* scratch) {
  if (dtype == Dtype::float32) return backward_of<F32>(cell, p, g, tape, scratch);
  backward_of<F64>(cell, p, g, tape, scratch);
}

static void math(Function f, Dtype dtype, const void* in, void* out, int64_t n) {
  if (dtype == Dtype::float32) return math_of<F32>(f, (const float*)in, (float*)out, n);
  math_of<F64>(f, (const double*)in, (double*)out, n);
}
