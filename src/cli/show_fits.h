// What `check` says where weights are not read: the model as config.json describes it, and what of it fits here.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>

#include "engine/session.h"

namespace finetune {

/// Parameters and sizes, what config.json leaves open, and a line for each way to keep the base. `width`: columns of
/// the terminal; 0: it is none.
void show_fits(std::ostream& out, const Session& session, std::size_t width);
nlohmann::ordered_json fits_json(const Session& session);

}  // namespace finetune
