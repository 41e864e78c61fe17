#include "base/digest.hpp"

#include <gtest/gtest.h>
