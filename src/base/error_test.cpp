#include "base/error.hpp"

#include <gtest/gtest.h>
