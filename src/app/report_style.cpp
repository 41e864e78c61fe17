#include "app/report_html.hpp"

namespace postferry::app {

std::string_view report_style() noexcept {
    return R"css(
:root{color-scheme:light dark;
 --page:#f6f7f9;--card:#fff;--ink:#16202c;--soft:#5b6876;--line:#dfe4ea;--track:#e9edf1;
 --source:#8795a5;--copied:#1f7a5c;--present:#4c9fd6;--skipped:#b9a45c;--failed:#c8402f;--open:#7d3fb2;
 --perfect:#1f7a5c;--good:#2f76b5;--investigate:#a66a00;--poor:#c8402f;--wash:#f1f4f7;
 --shadow:0 1px 2px rgba(20,32,44,.06),0 6px 24px rgba(20,32,44,.06)}
@media(prefers-color-scheme:dark){:root{
 --page:#12171d;--card:#1a2129;--ink:#e8edf2;--soft:#9aa8b6;--line:#2b3540;--track:#28323c;
 --source:#77879a;--copied:#39b089;--present:#5aaee6;--skipped:#cdb764;--failed:#ef6a58;--open:#b07de0;
 --perfect:#39b089;--good:#5aaee6;--investigate:#e0a43a;--poor:#ef6a58;--wash:#202932;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
 font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}
header.top{display:flex;justify-content:space-between;align-items:flex-end;gap:24px;flex-wrap:wrap;margin-bottom:24px}
.brand{font-size:13px;letter-spacing:.08em;text-transform:uppercase;color:var(--soft);margin:0}
h1{font-size:30px;line-height:1.2;margin:2px 0 4px;font-weight:680;letter-spacing:-.01em}
h2{font-size:19px;margin:0 0 14px;font-weight:640}
h3{font-size:12.5px;margin:26px 0 8px;font-weight:640;letter-spacing:.06em;text-transform:uppercase;color:var(--soft)}
p{margin:0 0 8px}
.soft{color:var(--soft)}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow);
 padding:24px 26px;margin:0 0 20px}
.grades{display:flex;gap:10px;flex-wrap:wrap}
.grade{display:inline-flex;align-items:center;gap:7px;padding:3px 11px 3px 9px;border-radius:999px;font-size:13px;
 font-weight:620;white-space:nowrap;color:var(--g);background:color-mix(in srgb,var(--g) 13%,transparent)}
.grade::before{content:"";width:8px;height:8px;border-radius:50%;background:var(--g)}
.perfect{--g:var(--perfect)}.good{--g:var(--good)}.investigate{--g:var(--investigate)}.poor{--g:var(--poor)}
figure{margin:0}
svg.balance{display:block;width:100%;border-radius:6px;background:var(--track)}
svg.large{height:44px;background:none;border-radius:5px}svg.line{height:10px;border-radius:5px}svg.small{height:8px;border-radius:4px;min-width:110px}
.f-source{fill:var(--source)}.f-copied{fill:var(--copied)}.f-present{fill:var(--present)}
.f-skipped{fill:var(--skipped)}.f-failed{fill:var(--failed)}.f-open{fill:var(--open)}
.equation{display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));gap:14px 22px;margin:16px 0 0;padding:0;
 list-style:none}
.equation li{border-top:3px solid var(--c);padding-top:8px}
.equation li.none{opacity:.55}
.equation b{display:block;font-size:21px;line-height:1.25;font-weight:660;font-variant-numeric:tabular-nums}
.equation span{color:var(--soft);font-size:13px}
.c-source{--c:var(--source)}.c-copied{--c:var(--copied)}.c-present{--c:var(--present)}
.c-skipped{--c:var(--skipped)}.c-failed{--c:var(--failed)}.c-open{--c:var(--open)}
.closing{margin:16px 0 0;font-size:14px}
table{border-collapse:collapse;width:100%;font-size:14px}
th{font-weight:600;color:var(--soft);text-align:left;font-size:12.5px;white-space:nowrap}
th,td{padding:8px 14px 8px 0;border-bottom:1px solid var(--line);vertical-align:top}
tbody tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.bar{width:150px;vertical-align:middle}
th:last-child,td:last-child{padding-right:0}
table.list td{vertical-align:middle}
.scroll{overflow-x:auto}
bdi,.name{overflow-wrap:anywhere}
.mono{font-family:ui-monospace,SFMono-Regular,"DejaVu Sans Mono",Menlo,monospace;font-size:12.5px}
a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:3px}
.head{display:flex;justify-content:space-between;gap:16px;align-items:flex-start;flex-wrap:wrap;margin-bottom:16px}
.head h2{margin:0}.arrow{color:var(--soft);padding:0 .25em}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px 24px;margin:18px 0 0}
.facts dt{font-size:12.5px;color:var(--soft)}.facts dd{margin:0;font-variant-numeric:tabular-nums}
.notice{border-left:4px solid var(--g);background:var(--wash);padding:12px 16px;border-radius:0 8px 8px 0;margin:18px 0 0}
.notice b{font-weight:640}
ul.plain{margin:0;padding:0 0 0 18px}ul.plain li{margin:2px 0}
.advice{color:var(--soft);margin-top:3px}.waived{color:var(--soft);font-size:12.5px}
.bad{color:var(--failed);font-weight:600}
footer{color:var(--soft);font-size:13px;margin-top:28px}
@media print{
 :root{--page:#fff;--shadow:none}
 body{font-size:11pt}main{max-width:none;padding:0}
 .card{border:0;border-top:1px solid var(--line);border-radius:0;padding:14px 0;margin:0;break-inside:auto}
 *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
 tr,li,.notice,.head,figure{break-inside:avoid}h2,h3,thead{break-after:avoid}thead{display:table-header-group}
 a{text-decoration:none}.scroll{overflow:visible}@page{margin:16mm 14mm}}
)css";
}

} // namespace postferry::app
