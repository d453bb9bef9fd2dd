// Where the acquisition is highest: many points are scored, the best and some others become starts, and each climbs by
// gradients in its continuous dimensions and by trying neighbours in its discrete ones, all starts in one batch (after
// Optuna 4.9's GPSampler).
#pragma once

#include <Eigen/Core>

#include "core/random.h"
#include "tuners/samplers/gp/acquisition.h"
#include "tuners/samplers/gp/encoding.h"

namespace finetune::gp {

/// The latent point found. `known_KD`: latent points worth starting from and looking around, the best observed first
/// (at least one).
Eigen::RowVectorXd maximise(const Acquisition& acquisition, const Encoding& encoding, const Eigen::MatrixXd& known_KD,
                            Random random);

}  // namespace finetune::gp
