// Python's % on texts: %s %r %d %i %f %e %g %x %o %c with flags, width and precision.
#pragma once

#include "data/jinja/evaluator.h"

namespace finetune::jinja {

/// `values`: a tuple, a dict for %(name)s, or one value.
Value formatted(Evaluator& evaluator, const Value& pattern, const Value& values);

}  // namespace finetune::jinja
