// The stand-in finds what it is there to find.
#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include "support/standin/standin.h"

namespace finetune::standin {
namespace {

c10::Stream other_stream(int index = 0) {
  return c10::impl::VirtualGuardImpl(at::kPrivateUse1).getNewStream(device(index));
}
c10::Stream own_stream(int index = 0) {
  return c10::impl::VirtualGuardImpl(at::kPrivateUse1).getStream(device(index));
}

class Standin : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { install(2); }
  void SetUp() override { clear(); }
  void TearDown() override {
    set_memory(0);
    fail_allocation(0);
    clear();
  }
  static at::Tensor pinned(double value) {
    return at::full({8}, value, at::TensorOptions(at::kDouble).pinned_memory(true));
  }
};

TEST_F(Standin, ComputesWhatTheProcessorDoes) {
  const at::Tensor x = at::randn({5, 7}), y = at::randn({7, 3});
  const at::Tensor dx = x.to(device(0)), dy = y.to(device(0));
  EXPECT_TRUE(at::equal(at::mm(dx, dy).to(at::kCPU), at::mm(x, y)));
  EXPECT_TRUE(at::equal((dx.t() * 2).narrow(0, 1, 3).to(at::kCPU), (x.t() * 2).narrow(0, 1, 3)));
  at::Tensor out = at::zeros({5, 3}, dx.options());
  at::mm_out(out, dx, dy);
  out.select(0, 2).fill_(4);
  EXPECT_EQ(out[2][1].item<float>(), 4);
  EXPECT_TRUE(at::equal(at::cat({dx, dx}).cpu(), at::cat({x, x})));
  EXPECT_TRUE(
      at::equal(dx.index_select(0, at::tensor({3, 1}).to(device(0))).cpu(), x.index_select(0, at::tensor({3, 1}))));
  EXPECT_TRUE(faults().empty());
}

TEST_F(Standin, RefusesToMix) {
  const at::Tensor here = at::ones({3}), there = here.to(device(0)), elsewhere = here.to(device(1));
  EXPECT_THROW(there + here, c10::Error);
  EXPECT_THROW(there + elsewhere, c10::Error);
  EXPECT_EQ((there + at::scalar_tensor(2.0)).sum().item<float>(), 9);  // as CUDA does
}

TEST_F(Standin, CountsWhoWaits) {
  const at::Tensor x = at::ones({8}, at::TensorOptions(at::kDouble).device(device(0)));
  clear();
  at::Tensor host = pinned(0);
  host.copy_(x, true);
  const at::Tensor back = host.to(device(0), true);
  EXPECT_EQ(counts().waits, 0);
  EXPECT_EQ(counts().to_host, 1);
  EXPECT_EQ(counts().from_host, 1);
  x.sum().item<double>();
  x.to(at::kCPU);
  EXPECT_EQ(counts().waits, 2);
  at::nonzero(x);
  EXPECT_EQ(counts().waits, 3);
  EXPECT_EQ(counts().reads, 3);
}

TEST_F(Standin, ACopyToPinnedMemoryArrivesWhenItIsWaitedFor) {
  const at::Tensor x = at::full({8}, 5.0, at::TensorOptions(at::kDouble).device(device(0)));
  at::Tensor host = pinned(1);
  host.copy_(x, true);
  c10::Event copied(at::kPrivateUse1);
  copied.record(own_stream());
  x.fill_(6);  // behind the copy
  EXPECT_TRUE(std::isnan(host[0].item<double>()));
  copied.synchronize();
  EXPECT_EQ(host[0].item<double>(), 5);
}

TEST_F(Standin, PinnedMemoryMustStayUntilItIsRead) {
  at::Tensor host = pinned(1);
  const at::Tensor x = host.to(device(0), true);
  host.fill_(2);
  x.sum().item<double>();
  ASSERT_EQ(faults().size(), 1u);
  EXPECT_NE(faults()[0].find("was changed"), std::string::npos);
  clear();
  const at::Tensor y = host.to(device(0), true);
  y.sum().item<double>();
  host.fill_(3);  // after the wait
  x.sum().item<double>();
  EXPECT_TRUE(faults().empty());
}

// Written on one stream, read or overwritten on another.
TEST_F(Standin, AStreamMustWaitForWhatItReads) {
  const c10::Stream side = other_stream();
  at::Tensor x = at::ones({4}, at::TensorOptions().device(device(0)));
  {
    const c10::StreamGuard guard(side);
    EXPECT_THROW(x.sum(), c10::Error);
    EXPECT_THROW(x.fill_(3), c10::Error);
    c10::Event written(at::kPrivateUse1);
    written.record(own_stream());  // of the side stream itself: helps nothing
    written.block(side);
    EXPECT_THROW(x.sum(), c10::Error);
  }
  EXPECT_EQ(faults().size(), 3u);
  clear();
  c10::Event written(at::kPrivateUse1);
  written.record(own_stream());
  written.block(side);
  {
    const c10::StreamGuard guard(side);
    EXPECT_NO_THROW(x.sum());
  }
  EXPECT_THROW(x.fill_(2), c10::Error);  // the side stream may still read
  c10::Event read(at::kPrivateUse1);
  read.record(side);
  read.block(own_stream());
  EXPECT_NO_THROW(x.fill_(2));
}

TEST_F(Standin, MemoryIsNotFreedUnderAStream) {
  const c10::Stream side = other_stream();
  for (const bool told : {false, true}) {
    clear();
    at::Tensor x = at::ones({4}, at::TensorOptions().device(device(0)));
    c10::Event written(at::kPrivateUse1);
    written.record(own_stream());
    written.block(side);
    {
      const c10::StreamGuard guard(side);
      x.sum();
    }
    if (told) x.record_stream(side);
    x = at::Tensor();
    EXPECT_EQ(faults().empty(), told);
  }
}

TEST_F(Standin, MemoryEndsWhereItIsSaid) {
  set_memory(std::int64_t{1} << 20);
  const auto bytes = [](std::int64_t count) {
    return at::empty({count}, at::TensorOptions(at::kByte).device(device(1)));
  };
  const at::Tensor half = bytes(1 << 19);
  EXPECT_THROW(bytes(1 << 20), c10::OutOfMemoryError);
  EXPECT_NO_THROW(bytes(1 << 19));
  EXPECT_NO_THROW(bytes((1 << 19) - 4096));  // what was freed is given back for it
  set_memory(0);
  fail_allocation(2);
  EXPECT_NO_THROW(bytes(16));
  EXPECT_THROW(bytes(16), c10::OutOfMemoryError);
  EXPECT_NO_THROW(bytes(16));
}

TEST_F(Standin, WhatIsNotWrittenIsNotANumber) {
  EXPECT_TRUE(std::isnan(at::empty({3}, at::TensorOptions().device(device(0))).sum().item<float>()));
}

TEST_F(Standin, DevicesCopyToEachOther) {
  const at::Tensor x = at::ones({4}, at::TensorOptions().device(device(0)));
  clear();
  const at::Tensor y = x.to(device(1), true);
  EXPECT_EQ(counts().waits, 0);
  EXPECT_EQ(counts().between, 1);
  EXPECT_EQ(y.device(), device(1));
  EXPECT_EQ(y.sum().item<float>(), 4);
  EXPECT_TRUE(faults().empty());
}

}  // namespace
}  // namespace finetune::standin
