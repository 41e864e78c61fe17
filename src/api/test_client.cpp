#include "api/test_client.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <fstream>

namespace postferry::api {

namespace {

class fake_exchange final : public http::exchange, public http::body_sink {
  public:
    explicit fake_exchange(test_request r) : request_(std::move(r)) {
        const std::string whole = request_.whole ? request_.target : "/api/v1" + request_.target;
        raw_path_ = whole.substr(0, whole.find('?'));
        path_ = http::parse_path(raw_path_).value_or(std::vector<std::string>());
        if (whole.contains('?')) query_ = http::parse_query(whole.substr(whole.find('?') + 1)).value();
        if (!request_.body.empty()) request_.fields.emplace_back("Content-Type", "application/json");
    }
    http::method verb() const noexcept override { return request_.verb; }
    const std::vector<std::string>& path() const noexcept override { return path_; }
    std::string_view raw_path() const noexcept override { return raw_path_; }
    const http::field_list& query() const noexcept override { return query_; }
    std::string_view header(std::string_view name) const noexcept override {
        for (const auto& [n, v] : request_.fields)
            if (ascii_lower(n) == ascii_lower(name)) return v;
        return {};
    }
    const http::peer& from() const noexcept override { return request_.from; }
    task<result<std::string>> body(std::size_t) override { co_return request_.body; }
    task<result<std::uint64_t>> body_to_file(std::filesystem::path file, std::uint64_t most) override {
        if (request_.body.size() > most) co_return fail(retry_class::permanent, phase::usage, "too long");
        std::ofstream(file, std::ios::binary) << request_.body;
        co_return request_.body.size();
    }
    task<bool> write(std::string_view octets) override {
        written += octets;
        co_return request_.on_piece&& request_.on_piece();
    }
    bool stopping() const noexcept override { return false; }

    std::string written;

  private:
    test_request request_;
    std::string raw_path_;
    std::vector<std::string> path_;
    http::field_list query_;
};

} // namespace

test_reply ask_service(service& of, test_request r) {
    fake_exchange x(std::move(r));
    http::reply got = run_to_end(of.handle(x));
    test_reply out{.status = got.status, .text = {}, .fields = std::move(got.fields)};
    if (auto* make = std::get_if<http::body_maker>(&got.body)) {
        run_to_end([](http::body_maker m, fake_exchange& to) -> task<int> {
            co_await m(to);
            co_return 0;
        }(*make, x));
        out.text = x.written;
    } else {
        out.text = std::get<std::string>(got.body);
    }
    return out;
}

std::string api_test::token_of(std::string_view role) {
    const auto made = as_root(http::method::post, "/users", fmt::format(R"({{"name":"{}","role":"{}"}})", role, role));
    EXPECT_EQ(made.status, 201U) << made.text;
    const auto id = made.json().at("id").as_int64();
    const auto token = as_root(http::method::post, "/tokens",
                               fmt::format(R"({{"name":"t","user":{},"scopes":["read","operate","admin"]}})", id));
    EXPECT_EQ(token.status, 201U) << token.text;
    return std::string(token.json().at("token").as_string());
}

} // namespace postferry::api
