#include "message/received_date.hpp"

#include <gtest/gtest.h>

#include <string>

namespace postferry::message {
namespace {

constexpr std::int64_t new_year_2001 = 978'307'200; // 2001-01-01T00:00:00Z

struct date_case {
    std::string_view text;
    std::int64_t unix_seconds;
    int zone_minutes;
};

TEST(parse_date_time, reads_the_forms_of_rfc_5322_and_what_is_seen) {
    for (const date_case& c : {
             date_case{"Mon, 1 Jan 2001 00:00:00 +0000", new_year_2001, 0},
             {"Mon, 01 Jan 2001 01:00:00 +0100", new_year_2001, 60},
             {"1 Jan 2001 00:00 -0330", new_year_2001 + 12'600, -210},
             {"Fri, 21 Nov 1997 09:55:06 -0600", 880'127'706, -360},
             // RFC 5322, appendix A.6.2 and A.6.3
             {"21 Nov 97 09:55:06 GMT", 880'106'106, 0},
             {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880'127'706, -360},
             {"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland "
              "Time)",
              -27'723'480, -210},
             {"1 Jan 101 00:00:00 Z", new_year_2001, 0},
             {"1 Jan 01 00:00:00 UT", new_year_2001, 0},
             {"31 Dec 2000 19:00:00 EST", new_year_2001, -300},
             {"31 Dec 2000 17:00:00 pdt", new_year_2001, -420},
             {"1 Jan 2001 00:00:00 A", new_year_2001, 0},
             {"1 Jan 2001 00:00:00 CEST", new_year_2001, 0},
             {"1 Jan 2001 00:00:00", new_year_2001, 0},
             {"1 Jan 2001 00:00:00 +9999", new_year_2001, 0},
             {"31 Dec 2000 23:59:60 +0000", new_year_2001, 0},
             {"29 Feb 2000 00:00:00 +0000", 951'782'400, 0},
             {"(a (nested \\) one) x) Mon (y), 1 Jan 2001 00:00:00 +0000 (UTC", new_year_2001, 0},
             {"01-Jan-2001 01:00:00 +01:00", new_year_2001, 60},
             {"Monday, 1 January 2001 02:00:00 GMT+0200", new_year_2001, 120},
             {"Mon., 1 Sept. 2003 10.00.00 +0000", 1'062'410'400, 0},
             {"Mon Jan  1 00:00:00 2001", new_year_2001, 0},
             {"Sun Dec 31 19:00:00 EST 2000", new_year_2001, -300},
             {"Jan  1 00:00:00 2001", new_year_2001, 0},
             {"1 Jan 1900 00:00:00 +0000", -2'208'988'800, 0},
             {"31 Dec 9999 23:59:59 +0000", 253'402'300'799, 0},
         }) {
        const auto date = parse_date_time(c.text);
        ASSERT_TRUE(date) << c.text;
        EXPECT_EQ(date->unix_seconds, c.unix_seconds) << c.text;
        EXPECT_EQ(date->zone_minutes, c.zone_minutes) << c.text;
    }
}

TEST(parse_date_time, refuses_what_is_no_date) {
    for (const std::string_view text : {"",
                                        "   ",
                                        "Mon",
                                        "Mon, 1 Jan",
                                        "Mon, 1 Jan 2001",
                                        "00 Jan 2001 00:00:00 +0000",
                                        "32 Jan 2001 00:00:00 +0000",
                                        "29 Feb 2001 00:00:00 +0000",
                                        "1 Foo 2001 00:00:00 +0000",
                                        "1 Jan 1 00:00:00 +0000",
                                        "1 Jan 0000 00:00:00 +0000",
                                        "1 Jan 20011 00:00:00 +0000",
                                        "1 Jan 2001 24:00:00 +0000",
                                        "1 Jan 2001 10:60:00 +0000",
                                        "1 Jan 2001 10:00:61 +0000",
                                        "1 Jan 2001 1000 +0000",
                                        "2001-01-01T00:00:00Z",
                                        "99999999999999999999 Jan 2001 10:00",
                                        "(1 Jan 2001 00:00:00 +0000",
                                        "=?utf-8?q?1_Jan_2001?="})
        EXPECT_FALSE(parse_date_time(text)) << text;
}

TEST(parse_date_time, looks_at_a_bounded_piece) {
    EXPECT_FALSE(parse_date_time(std::string(1000, ' ') + "1 Jan 2001 00:00:00 +0000"));
    EXPECT_TRUE(parse_date_time("1 Jan 2001 00:00:00 +0000" + std::string(10'000'000, '(')));
}

TEST(received_date, takes_the_topmost_received_field) {
    const auto date = received_date(
        "Return-Path: <x>\r\n"
        "Received: from a (helo; x) by b\r\n\twith SMTP id 1; Mon, 1 Jan 2001\r\n\t01:00:00 +0100 (CET; winter)\r\n"
        "Received: from c by a; 31 Dec 2000 00:00:00 +0000\r\n"
        "Date: 30 Dec 2000 00:00:00 +0000\r\n\r\n");
    EXPECT_EQ(date, (message_date{new_year_2001, 60}));
}

TEST(received_date, falls_back_to_the_next_readable_one) {
    EXPECT_EQ(received_date("Received: by b\nReceived: by c; yesterday\nReceived: by d; 1 Jan 2001 00:00:00 "
                            "+0000\nDate: 1 Jan 1999 00:00:00 Z\n"),
              (message_date{new_year_2001, 0}));
    EXPECT_EQ(received_date("Received: by b; nonsense\nDate: nonsense\nDate: 1 Jan 2001 00:00:00 +0000\nDate: 1 Jan "
                            "2002 00:00:00 +0000\n"),
              (message_date{new_year_2001, 0}));
    EXPECT_EQ(received_date("Date: Mon, 1 Jan 2001 00:00:00 +0000"), (message_date{new_year_2001, 0}));
}

TEST(received_date, is_nothing_without_one) {
    EXPECT_EQ(received_date(""), std::nullopt);
    EXPECT_EQ(received_date("Subject: 1 Jan 2001 00:00:00 +0000\n\nDate: 1 Jan 2001 00:00:00 +0000\n"), std::nullopt);
    EXPECT_EQ(received_date("Delivery-Date: 1 Jan 2001 00:00:00 +0000\nDate:\n"), std::nullopt);
}

} // namespace
} // namespace postferry::message
