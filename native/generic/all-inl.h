// The generic part in the order it needs; included inside the namespace and the region of a target, after simd/*.h.
#include "generic/math-inl.h"
#include "generic/cells-inl.h"
#include "generic/format-inl.h"
#include "generic/product-inl.h"
#include "generic/shape-inl.h"
#include "generic/forward-inl.h"
#include "generic/backward-inl.h"
#include "generic/table-inl.h"
