#include "support/standin/operations.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace finetune::standin {
namespace {

bool is_standin(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device().is_privateuseone();
}

// What a GPU has to tell the host how many there are.
bool waits_for_a_count(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames = {"aten::nonzero",    "aten::masked_select",      "aten::_unique2",
                                                      "aten::unique_dim", "aten::unique_consecutive", "aten::bincount",
                                                      "aten::equal",      "aten::is_nonzero"};
  return std::ranges::find(kNames, name) != kNames.end();
}

// An operation as it is called on tensors of the processor over the same memory.
class Call {
 public:
  Call(const c10::OperatorHandle& operation, torch::jit::Stack& stack)
      : operation_(operation), name_(operation.schema().name()), stack_(stack) {}

  void run() {
    const std::size_t count = operation_.schema().arguments().size();
    given_.assign(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    find_device();
    take_over();
    note_uses();
    stack_.resize(stack_.size() - count);
    torch::jit::Stack inner = translated_;
    operation_.callBoxed(&inner);
    give_back(inner);
  }

 private:
  // Of the tensors, all of one, or of the argument that names it.
  void find_device() {
    for_each_tensor([&](const at::Tensor& tensor, bool /*writes*/) {
      if (!is_standin(tensor)) return;
      const int device = tensor.device().index();
      TORCH_CHECK(device_ < 0 || device_ == device, "stand-in: ", name_, " mixes device ", device_, " and ", device);
      device_ = device;
    });
    for (const c10::IValue& value : given_) {
      if (value.isDevice() && value.toDevice().is_privateuseone() && device_ < 0)
        device_ = current_stream(value.toDevice().index()).device;
    }
    TORCH_CHECK(device_ >= 0, "stand-in: ", name_, " on no device");
    for_each_tensor([&](const at::Tensor& tensor, bool /*writes*/) {
      TORCH_CHECK(!tensor.defined() || is_standin(tensor) || tensor.dim() == 0, "stand-in: ", name_,
                  " mixes tensors of a device with one of ", tensor.device().str());
    });
  }

  void take_over() {
    for (const c10::IValue& value : given_) translated_.push_back(translate(value));
  }
  c10::IValue translate(const c10::IValue& value) const {
    if (value.isDevice()) return c10::Device(at::kCPU);
    if (value.isTensor()) return is_standin(value.toTensor()) ? on_processor(value.toTensor()) : value.toTensor();
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector())
        list.push_back(is_standin(tensor) ? on_processor(tensor) : tensor);
      return list;
    }
    if (!value.isList() || !value.toList().elementType()->isSubtypeOf(*c10::OptionalType::ofTensor())) return value;
    c10::List<std::optional<at::Tensor>> list;
    for (const c10::IValue& entry : value.toListRef())
      list.push_back(entry.isTensor() ? std::optional(translate(entry).toTensor()) : std::nullopt);
    return list;
  }

  // visit(tensor, whether it is written)
  template <typename Visit>
  void for_each_tensor(const Visit& visit) const {
    const auto& arguments = operation_.schema().arguments();
    for (std::size_t i = 0; i < given_.size(); ++i) {
      const auto* alias = arguments[i].alias_info();
      const bool writes = alias != nullptr && alias->isWrite();
      const c10::IValue& value = given_[i];
      if (value.isTensor()) visit(value.toTensor(), writes);
      if (!value.isList()) continue;
      for (const c10::IValue& entry : value.toListRef()) {
        if (entry.isTensor()) visit(entry.toTensor(), writes);
      }
    }
  }

  void note_uses() {
    Machine& machine = Machine::instance();
    const std::lock_guard lock(machine.mutex);
    ++machine.counts.operations;
    work_ = machine.enqueue(current_stream(device_));
    if (waits_for_a_count(name_)) {
      machine.count_wait(name_);
      ++machine.counts.reads;
      machine.host_waits(machine.clock(work_.stream));
    }
    for_each_tensor([&](const at::Tensor& tensor, bool writes) {
      if (!is_standin(tensor)) return;
      if (Block* block = block_of(tensor)) machine.use(work_, *block, writes, name_);
    });
  }

  // What was written in place is returned as it was given; what is new is of the device.
  void give_back(const torch::jit::Stack& results) {
    const auto& returns = operation_.schema().returns();
    for (std::size_t i = 0; i < results.size(); ++i) {
      const auto* alias = returns[i].alias_info();
      if (alias != nullptr && alias->isWrite()) {
        stack_.push_back(given_written(*alias));
        if (results[i].isTensor()) take_over_size(stack_.back().toTensor(), results[i].toTensor());
      } else if (results[i].isTensor()) {
        stack_.push_back(new_tensor(results[i].toTensor()));
      } else if (results[i].isTensorList()) {
        c10::List<at::Tensor> list;
        for (const at::Tensor& tensor : results[i].toTensorVector()) list.push_back(new_tensor(tensor));
        stack_.push_back(list);
      } else {
        stack_.push_back(results[i]);
      }
    }
  }
  c10::IValue given_written(const c10::AliasInfo& alias) const {
    const auto& arguments = operation_.schema().arguments();
    for (std::size_t i = 0; i < given_.size(); ++i) {
      if (arguments[i].alias_info() != nullptr && *arguments[i].alias_info() == alias) return given_[i];
    }
    TORCH_CHECK(false, "stand-in: ", name_, " returns what it was not given");
  }
  // An output that was given empty has got its size.
  void take_over_size(const at::Tensor& given, const at::Tensor& result) const {
    if (given.sizes() == result.sizes()) return;
    const at::Tensor sized = on_device(result, device_, work_, name_);
    given.unsafeGetTensorImpl()->set_storage_keep_dtype(sized.storage());
    given.unsafeGetTensorImpl()->set_sizes_and_strides(sized.sizes(), sized.strides());
  }
  at::Tensor new_tensor(const at::Tensor& values) const {
    if (!values.defined()) return values;
    for_each_tensor([&](const at::Tensor& tensor, bool /*writes*/) {
      const bool same = is_standin(tensor) && values.numel() > 0 && values.storage().data() == tensor.storage().data();
      TORCH_CHECK(!same, "stand-in: ", name_, " returns a view; operations.cpp has to register it");
    });
    return on_device(values, device_, work_, name_);
  }

  const c10::OperatorHandle& operation_;
  std::string name_;
  torch::jit::Stack& stack_;
  std::vector<c10::IValue> given_, translated_;
  int device_ = -1;
  Moment work_;
};

void run_on_processor(const c10::OperatorHandle& operation, torch::jit::Stack* stack) {
  Call(operation, *stack).run();
}

at::Tensor empty(c10::IntArrayRef sizes, std::optional<at::ScalarType> dtype, std::optional<at::Layout> /*layout*/,
                 std::optional<at::Device> on, std::optional<bool> /*pinned*/, std::optional<at::MemoryFormat> format) {
  const c10::DeviceGuard guard(on.value_or(device(current_stream(-1).device)));
  return at::detail::empty_generic(sizes, c10::GetAllocator(at::kPrivateUse1),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   dtype.value_or(c10::get_default_dtype_as_scalartype()), format);
}

at::Tensor empty_strided(c10::IntArrayRef sizes, c10::IntArrayRef strides, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout> /*layout*/, std::optional<at::Device> on,
                         std::optional<bool> /*pinned*/) {
  const c10::DeviceGuard guard(on.value_or(device(current_stream(-1).device)));
  return at::detail::empty_strided_generic(sizes, strides, c10::GetAllocator(at::kPrivateUse1),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           dtype.value_or(c10::get_default_dtype_as_scalartype()));
}

}  // namespace

at::Tensor on_processor(const at::Tensor& tensor) {
  const c10::Storage& storage = tensor.storage();
  if (storage.nbytes() == 0) return at::empty(tensor.sizes(), tensor.options().device(at::kCPU));
  c10::Storage same(c10::Storage::use_byte_size_t(), static_cast<std::size_t>(storage.nbytes()),
                    at::DataPtr(const_cast<void*>(storage.data()), at::kCPU), nullptr, false);
  auto impl =
      c10::make_intrusive<c10::TensorImpl>(std::move(same), c10::DispatchKeySet(c10::DispatchKey::CPU), tensor.dtype());
  impl->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
  if (tensor.unsafeGetTensorImpl()->is_wrapped_number()) impl->set_wrapped_number(true);
  return at::Tensor(std::move(impl));
}

at::Tensor on_device(const at::Tensor& values, int on, const Moment& work, const std::string& what) {
  const at::Tensor result = at::empty_strided(values.sizes(), values.strides(), values.options().device(device(on)));
  if (values.unsafeGetTensorImpl()->is_wrapped_number()) result.unsafeGetTensorImpl()->set_wrapped_number(true);
  if (values.numel() == 0) return result;
  on_processor(result).copy_(values);
  Machine& machine = Machine::instance();
  const std::lock_guard lock(machine.mutex);
  machine.use(work, *block_of(result), true, what);
  return result;
}

Block* block_of(const at::Tensor& tensor) {
  return Machine::instance().block_at(tensor.storage().data());
}

void register_operations() {
  static torch::Library aten(torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
  aten.impl("empty.memory_format", &empty);
  aten.impl("empty_strided", &empty_strided);
  aten.impl("view", static_cast<at::Tensor (*)(const at::Tensor&, c10::IntArrayRef)>(&at::native::view));
  aten.impl("as_strided", &at::native::as_strided_tensorimpl);
  aten.impl("_reshape_alias", &at::native::_reshape_alias);
  aten.impl("unfold", &at::native::unfold);
  static torch::Library all(torch::Library::IMPL, "_", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
  all.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_processor>());
}

}  // namespace finetune::standin
