// `attribute` of filters: what of each item is meant.
#pragma once

#include <string>
#include <vector>

#include "data/jinja/evaluator.h"

namespace finetune::jinja {

/// By a dotted path ("function.name"; whole numbers index) or an index; without one, the item itself.
class Getter {
 public:
  /// `attribute` may be null.
  Getter(Evaluator& evaluator, const Value* attribute);
  Value operator()(const Value& item) const;

 private:
  Evaluator& evaluator_;
  std::vector<Value> path_;
};

}  // namespace finetune::jinja
