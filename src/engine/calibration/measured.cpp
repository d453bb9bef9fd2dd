#include "engine/calibration/measured.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "engine/precision.h"

namespace finetune {
namespace {

const nlohmann::ordered_json& member_of(const std::string& where, const nlohmann::ordered_json& json,
                                        const char* name) {
  if (!json.is_object() || !json.contains(name)) throw bad_input(where, std::string("a measurement has no ") + name);
  return json[name];
}

double amount(const std::string& where, const nlohmann::ordered_json& json, const char* name) {
  const auto& value = member_of(where, json, name);
  if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() < 0)
    throw bad_input(where, fmt::format("{} of a measurement cannot be {}", name, value.dump().substr(0, 40)));
  return value.get<double>();
}

template <typename T>
T plain(const std::string& where, const nlohmann::ordered_json& json, const char* name,
        bool (nlohmann::ordered_json::*is)() const noexcept) {
  const auto& value = member_of(where, json, name);
  if (!(value.*is)())
    throw bad_input(where, fmt::format("{} of a measurement cannot be {}", name, value.dump().substr(0, 40)));
  return value.get<T>();
}

}  // namespace

double error_bound(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? 1e-2 : 1e-5;
}

void decide(Measured& one, const Findings& findings) {
  one.has_kernel = findings.has_kernel;
  one.error = findings.error;
  one.takes_written = one.is_wrong = false;
  if (!findings.has_kernel) {
    one.why = "there is no kernel";
  } else if (!findings.fault.empty()) {
    one.is_wrong = true;
    one.why = "wrong: " + findings.fault;
  } else if (!(findings.error <= error_bound(one.dtype))) {
    one.is_wrong = true;
    one.why = fmt::format("wrong: {} is off by {:.1e} of its norm", findings.worst, findings.error);
  } else {
    one.takes_written = one.written_s <= kSlowerAllowed * one.composition_s;
    const double ratio = one.composition_s / one.written_s;
    one.why = ratio >= 1 ? fmt::format("{:.1f} times as fast", ratio) : fmt::format("{:.2f} of the speed", ratio);
  }
}

std::vector<ops::Operation> written_operations(std::span<const Measured> all) {
  std::vector<ops::Operation> taken;
  for (const ops::Operation operation : ops::kOperations) {
    double composition = 0, written = 0;
    bool usable = false;
    for (const Measured& one : all) {
      if (one.operation != operation) continue;
      usable = one.has_kernel && !one.is_wrong;
      if (!usable) break;
      composition += one.composition_s;
      written += one.written_s;
    }
    if (usable && written <= kSlowerAllowed * composition) taken.push_back(operation);
  }
  return taken;
}

bool is_some_wrong(std::span<const Measured> all) {
  return std::ranges::any_of(all, &Measured::is_wrong);
}

nlohmann::ordered_json to_json(const Measured& one) {
  // A kernel that writes NaN has no error that JSON could hold.
  const auto error = std::isfinite(one.error) ? nlohmann::ordered_json(one.error) : nlohmann::ordered_json();
  return {{"operation", ops::name_of(one.operation)},
          {"dtype", dtype_name(one.dtype)},
          {"rows", one.rows},
          {"composition_seconds", one.composition_s},
          {"written_seconds", one.written_s},
          {"error", error},
          {"bytes", one.bytes},
          {"flops", one.flops},
          {"kernel", one.has_kernel},
          {"wrong", one.is_wrong},
          {"choice", one.takes_written ? "written" : "composition"},
          {"why", one.why}};
}

Measured measured_from_json(const std::string& where, const nlohmann::ordered_json& json) {
  using Json = nlohmann::ordered_json;
  const auto name = plain<std::string>(where, json, "operation", &Json::is_string);
  const auto operation = ops::operation_named(name);
  if (!operation) throw bad_input(where, "there is no operation " + name.substr(0, 40));
  const auto dtype = plain<std::string>(where, json, "dtype", &Json::is_string);
  const auto choice = plain<std::string>(where, json, "choice", &Json::is_string);
  if ((dtype != "float32" && dtype != "bfloat16") || (choice != "written" && choice != "composition"))
    throw bad_input(where,
                    "dtype and choice of a measurement cannot be " + dtype.substr(0, 40) + ", " + choice.substr(0, 40));
  return {.operation = *operation,
          .dtype = dtype == "float32" ? at::kFloat : at::kBFloat16,
          .rows = static_cast<std::int64_t>(amount(where, json, "rows")),
          .composition_s = amount(where, json, "composition_seconds"),
          .written_s = amount(where, json, "written_seconds"),
          .error = member_of(where, json, "error").is_null() ? std::nan("") : amount(where, json, "error"),
          .bytes = amount(where, json, "bytes"),
          .flops = amount(where, json, "flops"),
          .has_kernel = plain<bool>(where, json, "kernel", &Json::is_boolean),
          .is_wrong = plain<bool>(where, json, "wrong", &Json::is_boolean),
          .takes_written = choice == "written",
          .why = plain<std::string>(where, json, "why", &Json::is_string)};
}

}  // namespace finetune
