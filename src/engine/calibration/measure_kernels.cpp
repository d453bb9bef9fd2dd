#include "engine/calibration/measure_kernels.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>

namespace finetune {
namespace {

constexpr int kWarmCalls = 3, kTimedCalls = 10, kFewestCalls = 3;
constexpr double kBeyondCaches = 256e6;  // an H200 has 50 MB of second-level cache
constexpr std::size_t kMostCopies = 8;

std::vector<at::Tensor> fresh_outputs(const KernelCase& one) {
  std::vector<at::Tensor> outputs;
  for (const CaseOutput& output : one.outputs) outputs.push_back(output.before.clone());
  return outputs;
}

std::vector<at::Tensor> widened(const std::vector<at::Tensor>& tensors, at::ScalarType dtype) {
  std::vector<at::Tensor> wide;
  for (const at::Tensor& tensor : tensors) wide.push_back(tensor.is_floating_point() ? tensor.to(dtype) : tensor);
  return wide;
}

std::vector<at::Tensor> reference_outputs(const KernelCase& one, const ops::Backend& composition) {
  const auto dtype = one.dtype == at::kBFloat16 ? at::kFloat : at::kDouble;
  const std::vector<at::Tensor> inputs = widened(one.inputs, dtype);
  std::vector<at::Tensor> outputs = widened(fresh_outputs(one), dtype);
  one.call(composition, inputs, outputs);
  return outputs;
}

double relative_error(const at::Tensor& actual, const at::Tensor& reference) {
  const at::Tensor wide = reference.to(at::kDouble), difference = actual.to(at::kDouble) - wide;
  const double norm = wide.norm().item<double>(), off = difference.norm().item<double>();
  return norm > 0 ? off / norm : off;
}

Findings examine(const KernelCase& one, const Contest& contest, at::Device device) {
  Findings findings{.has_kernel = differs(one.operation, contest.written, contest.composition)};
  if (!findings.has_kernel) return findings;
  const std::vector<at::Tensor> reference = reference_outputs(one, contest.composition);
  std::vector<at::Tensor> first = fresh_outputs(one), second = fresh_outputs(one);
  try {
    one.call(contest.written, one.inputs, first);
    one.call(contest.written, one.inputs, second);
    wait_for_device(device);
  } catch (const c10::Error& error) {
    findings.fault = std::string("throws ") + error.what_without_backtrace();
  } catch (const std::exception& error) {
    findings.fault = std::string("throws ") + error.what();
  }
  findings.fault = findings.fault.substr(0, findings.fault.find('\n'));
  for (std::size_t i = 0; i < first.size() && findings.fault.empty(); ++i) {
    const std::string& name = one.outputs[i].name;
    const double error = relative_error(first[i], reference[i]);
    if (!(error <= findings.error)) {
      findings.error = error;
      findings.worst = name;
    }
    if (!at::isfinite(first[i]).all().item<bool>())
      findings.fault = name + " is not finite everywhere";
    else if (!at::equal(first[i], second[i]))
      findings.fault = "two runs differ in the bits of " + name;
  }
  return findings;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// A call may work on what an earlier one has left: how long it takes does not depend on values.
class TimedCalls {
 public:
  TimedCalls(const KernelCase& one, std::size_t copies) : one_(one) {
    for (std::size_t i = 0; i < copies; ++i) {
      std::vector<at::Tensor>& inputs = inputs_.emplace_back();
      for (const at::Tensor& tensor : one.inputs) inputs.push_back(i == 0 ? tensor : tensor.clone());
      outputs_.push_back(fresh_outputs(one));
    }
  }
  void call(const ops::Backend& backend) {
    one_.call(backend, inputs_[next_], outputs_[next_]);
    next_ = (next_ + 1) % inputs_.size();
  }

 private:
  const KernelCase& one_;
  std::vector<std::vector<at::Tensor>> inputs_, outputs_;
  std::size_t next_ = 0;
};

std::size_t copies_for(const KernelCase& one, at::Device device) {
  if (device.is_cpu()) return 1;
  double bytes = 1;
  for (const at::Tensor& tensor : one.inputs) bytes += static_cast<double>(tensor.nbytes());
  for (const CaseOutput& output : one.outputs) bytes += static_cast<double>(output.before.nbytes());
  return std::clamp<std::size_t>(static_cast<std::size_t>(kBeyondCaches / bytes) + 1, 1, kMostCopies);
}

void time_both(const KernelCase& one, const Contest& contest, at::Device device, Measured& measured) {
  TimedCalls calls(one, copies_for(one, device));
  struct Side {
    const ops::Backend& backend;
    double& result;
    std::vector<double> seconds;
  };
  std::vector<Side> sides{{contest.composition, measured.composition_s, {}}};
  if (measured.has_kernel) sides.push_back({contest.written, measured.written_s, {}});
  double spent = 0;
  for (int i = 0; i < kWarmCalls + kTimedCalls; ++i) {
    const bool counts = i >= kWarmCalls;
    if (spent > contest.seconds && (i >= kWarmCalls + kFewestCalls || (i > 0 && !counts))) {
      if (counts) break;
      continue;  // one warm call is enough of what takes so long
    }
    for (Side& side : sides) {
      const double took = contest.clock([&] { calls.call(side.backend); });
      spent += took;
      if (counts) side.seconds.push_back(took);
    }
  }
  for (Side& side : sides) side.result = median(side.seconds);
}

}  // namespace

Contest contest_on(at::Device device) {
  const ops::Backend& written = device.is_cpu()    ? ops::cpu_backend()
                                : device.is_cuda() ? ops::cuda_backend()
                                                   : ops::composite_backend();
  return {.composition = ops::composite_backend(), .written = written, .clock = device_clock(device)};
}

Measured measure_case(const KernelCase& one, const Contest& contest) {
  const at::Device device = one.outputs.front().before.device();
  Measured measured{
      .operation = one.operation, .dtype = one.dtype, .rows = one.rows, .bytes = one.bytes, .flops = one.flops};
  const Findings findings = examine(one, contest, device);
  measured.has_kernel = findings.has_kernel && findings.fault.empty();  // one that is wrong is not timed
  time_both(one, contest, device, measured);
  decide(measured, findings);
  return measured;
}

std::vector<Measured> measure_kernels(const KernelShape& shape, at::ScalarType dtype, std::span<const CaseSize> sizes,
                                      at::Device device, const Contest& contest) {
  std::vector<Measured> all;
  for (const ops::Operation operation : ops::kOperations) {
    std::int64_t rows = -1;
    for (const CaseSize& size : sizes) {
      const KernelCase one = make_case(operation, shape, dtype, size, device);
      if (one.rows == rows) continue;  // its size does not depend on the number of tokens
      rows = one.rows;
      all.push_back(measure_case(one, contest));
    }
  }
  return all;
}

std::vector<CaseSize> usual_sizes(at::Device device) {
  if (device.is_cpu()) return {{.tokens = 64, .segment = 32}, {.tokens = 512, .segment = 128}};
  return {{.tokens = 512, .segment = 128}, {.tokens = 4096, .segment = 1024}};
}

}  // namespace finetune
