// TPE's model of some parameters: the density of good trials over that of bad ones (Bergstra et al., NIPS 2011).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tuners/samplers/tpe/parzen.h"
#include "tuners/samplers/tpe/split.h"

namespace finetune {

struct TpeModel {
  Parzen good, bad;
};

ParzenAxis axis_of(const ParameterSpec& spec);

/// `parameters`: indices into the space. Trials that lack one of them say nothing about the group.
TpeModel fit_model(const SearchSpace& space, std::span<const std::size_t> parameters, const ParamTable& good,
                   const ParamTable& bad, Bandwidth bandwidth);

/// log good - log bad at each point; the higher, the more promising.
std::vector<double> acquisition(const TpeModel& model, const Columns& points);

/// The best of `candidates` draws from the good, by acquisition; the first of equals. One number a parameter.
std::vector<double> propose(const TpeModel& model, std::size_t candidates, Random& random);

/// The inverse of a table's number: a value exactly in the space.
Value value_of(const ParameterSpec& spec, double number);

}  // namespace finetune
