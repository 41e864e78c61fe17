#include "transfer/detail/case_fold.hpp"
#include "transfer/detail/special_use_names.hpp"
#include "transfer/folder_rules.hpp"

#include <gtest/gtest.h>

#include <set>

namespace postferry::transfer {
namespace {

TEST(special_use_of, reads_rfc_6154_and_xlist) {
    EXPECT_EQ(special_use_of({"\\HasNoChildren", "\\Sent"}), special_use::sent);
    EXPECT_EQ(special_use_of({"\\JUNK"}), special_use::junk);
    EXPECT_EQ(special_use_of({"\\Spam"}), special_use::junk);
    EXPECT_EQ(special_use_of({"\\Starred"}), special_use::flagged);
    EXPECT_EQ(special_use_of({"\\All"}), special_use::all);
    EXPECT_EQ(special_use_of({"\\Important"}), special_use::important);
    EXPECT_EQ(special_use_of({"\\Marked", "\\NoInferiors"}), special_use::none);
    EXPECT_EQ(special_use_of({}), special_use::none);
}

TEST(special_use_by_name, knows_the_languages) {
    struct known {
        std::string_view name;
        special_use use;
    };
    for (const known& k : {known{"Sent", special_use::sent},
                           {"SENT ITEMS", special_use::sent},
                           {"Gesendet", special_use::sent},
                           {"Éléments envoyés", special_use::sent},
                           {"ÉLÉMENTS ENVOYÉS", special_use::sent},
                           {"Posta inviata", special_use::sent},
                           {"Elementos enviados", special_use::sent},
                           {"Itens Enviados", special_use::sent},
                           {"Verzonden items", special_use::sent},
                           {"Wysłane", special_use::sent},
                           {"Odeslaná pošta", special_use::sent},
                           {"Skickat", special_use::sent},
                           {"Sendt", special_use::sent},
                           {"Lähetetyt", special_use::sent},
                           {"Elküldött elemek", special_use::sent},
                           {"Отправленные", special_use::sent},
                           {"Надіслані", special_use::sent},
                           {"Απεσταλμένα", special_use::sent},
                           {"Gönderilmiş Öğeler", special_use::sent},
                           {"送信済みアイテム", special_use::sent},
                           {"已发送邮件", special_use::sent},
                           {"Корзина", special_use::trash},
                           {"Papierkorb", special_use::trash},
                           {"Gelöschte Elemente", special_use::trash},
                           {"Entwürfe", special_use::drafts},
                           {"Brouillons", special_use::drafts},
                           {"Πρόχειρα", special_use::drafts},
                           {"Junk E-mail", special_use::junk},
                           {"Spam", special_use::junk},
                           {"Courrier indésirable", special_use::junk},
                           {"迷惑メール", special_use::junk},
                           {"Archives", special_use::archive},
                           {"Архив", special_use::archive}})
        EXPECT_EQ(special_use_by_name(k.name), k.use) << k.name;
    for (const std::string_view name : {"", "INBOX", "Sent/2019", "Sent Items 2", "Old", "Work", "Gesendet ", "\xff"})
        EXPECT_EQ(special_use_by_name(name), special_use::none) << name;
}

TEST(special_use_names, are_folded_and_each_has_one_use) {
    std::set<std::string_view> seen;
    for (const auto& entry : detail::special_use_names()) {
        EXPECT_EQ(detail::case_folded(entry.name), entry.name);
        EXPECT_TRUE(seen.insert(entry.name).second) << entry.name;
    }
}

TEST(case_folded, knows_the_scripts_with_case) {
    EXPECT_EQ(detail::case_folded("ÀÖÞ×ß ĀŁŃŹŸ ΆΈΏΑΣς АЯЁЇҐ Z漢\xff"), "àöþ×ß āłńźÿ άέώασσ аяёїґ z漢\xff");
    EXPECT_EQ(detail::case_folded(detail::case_folded("ĶķĹĺŇňŊŋŶŷŽž")), "ķķĺĺňňŋŋŷŷžž");
}

} // namespace
} // namespace postferry::transfer
