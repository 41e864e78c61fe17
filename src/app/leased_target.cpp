#include "app/leased_target.hpp"

namespace postferry::app {

namespace {

using mailbox::append_feed;

std::unexpected<error> over() {
    return fail(retry_class::cancelled, phase::append,
                "nothing may be written to the target any more: another process may be at it by now");
}

class leased_feed final : public append_feed {
  public:
    leased_feed(append_feed& feed, const std::function<bool()>& may) : feed_(feed), may_(may) {}

    [[nodiscard]] bool ready() const noexcept override { return feed_.ready(); }
    task<bool> wait(std::chrono::milliseconds patience) override { return feed_.wait(patience); }
    task<std::optional<mailbox::append_item>> next() override {
        auto item = co_await feed_.next();
        if (item && !may_()) {
            feed_.abandon(over().error());
            co_return std::nullopt;
        }
        co_return item;
    }
    void announced() override { feed_.announced(); }
    task<result<mailbox::chunk>> read() override {
        auto piece = co_await feed_.read();
        if (!may_()) co_return over();
        co_return piece;
    }
    [[nodiscard]] bool chunk_ready() const noexcept override { return feed_.chunk_ready(); }
    void stored(const std::vector<std::uint64_t>& tokens, std::uint32_t uid_validity,
                const std::vector<std::uint32_t>& uids) override {
        feed_.stored(tokens, uid_validity, uids);
    }
    task<result<void>> recorded() override {
        if (!may_()) co_return over();
        co_return co_await feed_.recorded();
    }
    void refused(const std::vector<std::uint64_t>& tokens, const error& why) override { feed_.refused(tokens, why); }
    void abandon(const error& why) noexcept override { feed_.abandon(why); }

  private:
    append_feed& feed_;
    const std::function<bool()>& may_;
};

class leased_target final : public mailbox::target {
  public:
    leased_target(std::unique_ptr<mailbox::target> place, std::function<bool()> may)
        : place_(std::move(place)), may_(std::move(may)) {}

    // Reading.
    task<result<mailbox::listing>> list(bool with_octets) override { return place_->list(with_octets); }
    task<result<void>> scan(std::span<const mailbox::scan_request> folders, mailbox::scan_sink& sink) override {
        return place_->scan(folders, sink);
    }
    task<result<void>> fetch(std::span<const mailbox::fetch_request> requests, mailbox::fetch_part part,
                             mailbox::message_sink& sink) override {
        return place_->fetch(requests, part, sink);
    }
    task<result<std::vector<uid_set>>> search(std::span<const mailbox::fetch_request> requests,
                                              mailbox::search_criterion what) override {
        return place_->search(requests, what);
    }
    task<result<std::vector<mailbox::folder_extras>>> extras(std::span<const std::string> handles) override {
        return place_->extras(handles);
    }
    task<result<void>> identities(std::span<const mailbox::fetch_request> requests,
                                  const mailbox::identity_teller& tell) override {
        return place_->identities(requests, tell);
    }
    void close() noexcept override { place_->close(); }
    task<> leave() override { return place_->leave(); }
    [[nodiscard]] bool leaves_by_itself() const noexcept override { return place_->leaves_by_itself(); }
    [[nodiscard]] bool shares_well() const noexcept override { return place_->shares_well(); }
    [[nodiscard]] std::vector<std::string> take_notes() override { return place_->take_notes(); }
    [[nodiscard]] std::uint64_t append_limit() const noexcept override { return place_->append_limit(); }
    [[nodiscard]] bool keeps_uids() const noexcept override { return place_->keeps_uids(); }
    [[nodiscard]] bool keeps_flagged() const noexcept override { return place_->keeps_flagged(); }
    [[nodiscard]] bool takes_literal8() const noexcept override { return place_->takes_literal8(); }
    [[nodiscard]] std::string handle_of(std::string_view name) const override { return place_->handle_of(name); }
    [[nodiscard]] std::vector<std::string> take_remarks() override { return place_->take_remarks(); }

    // Writing.
    task<result<std::vector<mailbox::prepared_folder>>> prepare(std::span<const mailbox::folder_wish> wishes) override {
        if (!may_()) co_return over();
        co_return co_await place_->prepare(wishes);
    }
    task<result<void>> subscribe(std::span<const std::string> handles) override {
        if (!may_()) co_return over();
        co_return co_await place_->subscribe(handles);
    }
    task<result<void>> append(append_feed& feed) override {
        leased_feed asking(feed, may_);
        if (!may_()) co_return over();
        co_return co_await place_->append(asking);
    }
    task<result<mailbox::copied_uids>> copy_within(mailbox::copy_wish wish) override {
        if (!may_()) co_return over();
        co_return co_await place_->copy_within(std::move(wish));
    }
    task<result<std::vector<std::string>>> grant(std::span<const mailbox::rights_wish> wishes) override {
        if (!may_()) co_return over();
        co_return co_await place_->grant(wishes);
    }
    task<result<void>> change_flags(std::string_view handle, std::span<const mailbox::flag_change> changes) override {
        if (!may_()) co_return over();
        co_return co_await place_->change_flags(handle, changes);
    }
    task<result<void>> remove(std::string_view handle, std::uint32_t uid_validity, uid_set uids) override {
        if (!may_()) co_return over();
        co_return co_await place_->remove(handle, uid_validity, std::move(uids));
    }

  private:
    std::unique_ptr<mailbox::target> place_;
    std::function<bool()> may_;
};

} // namespace

std::unique_ptr<mailbox::target> leased(std::unique_ptr<mailbox::target> place, std::function<bool()> may_write) {
    return std::make_unique<leased_target>(std::move(place), std::move(may_write));
}

} // namespace postferry::app
