// Calibrations of earlier runs: a small JSON file in the user's cache folder.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "engine/calibration/calibration.h"

namespace finetune {

/// What a calibration holds for: the device by name, size and driver, LibTorch, this very build of the program, and
/// what was asked.
nlohmann::ordered_json calibration_key(const CalibrationRequest& request);

/// Nothing that is wrong with the file is an error of a run: it is said, and the kernels are measured again.
class CalibrationCache {
 public:
  using Say = std::function<void(const std::string&)>;
  /// `folder` "": there is none to have, which is said when something is to be kept.
  CalibrationCache(std::filesystem::path folder, Say say);

  std::optional<Calibration> find(const nlohmann::ordered_json& key) const;
  /// Beside what others have kept, for which a lock is waited a second at most. What was kept longest ago goes.
  void keep(const nlohmann::ordered_json& key, const Calibration& calibration) const;

  std::filesystem::path file() const { return folder_ / "kernels.json"; }

 private:
  nlohmann::ordered_json entries() const;

  std::filesystem::path folder_;
  Say say_;
};

}  // namespace finetune
