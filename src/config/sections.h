// The fields of each section of the configuration, in the order in which they are printed.
#pragma once

#include <vector>

#include "config/fields.h"

namespace finetune {

std::vector<Field> model_fields();
std::vector<Field> data_fields();
std::vector<Field> train_fields();
std::vector<Field> tune_fields();
std::vector<Field> run_fields();
std::vector<Field> study_fields();

}  // namespace finetune
