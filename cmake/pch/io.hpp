#pragma once
#include "pure.hpp"

#include <boost/asio.hpp>
