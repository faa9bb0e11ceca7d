#include "cluster/html_page.h"
#include "cluster/svg.h"

static const char style[] =
    ":root{--ink:#1c2430;--soft:#5b6775;--line:#dfe4ea;--paper:#fff;--wash:#f5f7fa;--accent:#"
    "0b7285}"
    "*{box-sizing:border-box}body{margin:0;background:var(--wash);color:var(--ink);font:15px/1.5 "
    "system-ui,"
    "'Segoe UI','DejaVu Sans',sans-serif}"
    "main{max-width:1080px;margin:0 auto;padding:24px 20px 60px}header{padding:8px 0 "
    "4px}h1{margin:0;font-size:28px}"
    "h2{font-size:19px;margin:0 0 4px}h3{font-size:15px;margin:18px 0 6px}p{margin:4px 0 "
    "10px;color:var(--soft)}"
    "section{background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:18px "
    "20px;margin:18px 0}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:"
    "tabular-nums}"
    "th{font-weight:600;text-align:left;color:var(--soft);font-size:13px}"
    "td,th{padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}"
    "td.n,th.n{text-align:right}code{font:12.5px ui-monospace,'DejaVu Sans "
    "Mono',monospace;overflow-wrap:anywhere}"
    "svg{width:100%;height:auto;display:block}.grid{stroke:var(--line);stroke-width:1;fill:none}"
    ".tick{font-size:11px;fill:var(--soft)}.axis{font-size:12px;fill:var(--soft)}"
    ".label{font-size:13px;font-weight:600;fill:var(--ink)}"
    ".mark{stroke:#98a2ae;stroke-dasharray:4 "
    "4;fill:none}.line{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".dot.grey{fill:#b4bdc8}.line.grey{stroke:#b4bdc8}.diamond{stroke:#fff;stroke-width:1.5}"
    ".line.s0{stroke:#0b7285}.line.s1{stroke:#c2410c}.line.s2{stroke:#5b4b9e}.line.s3{stroke:#"
    "2b8a3e}"
    ".line.s4{stroke:#b7791f}.line.s5{stroke:#a61e4d}.line.s6{stroke:#1864ab}.line.s7{stroke:#"
    "495057}"
    ".dot.s0,.diamond.s0{fill:#0b7285}.dot.s1,.diamond.s1{fill:#c2410c}.dot.s2,.diamond.s2{fill:#"
    "5b4b9e}"
    ".dot.s3,.diamond.s3{fill:#2b8a3e}.dot.s4,.diamond.s4{fill:#b7791f}.dot.s5,.diamond.s5{fill:#"
    "a61e4d}"
    ".dot.s6,.diamond.s6{fill:#1864ab}.dot.s7,.diamond.s7{fill:#495057}"
    ".key{display:inline-block;width:18px;height:3px;margin:0 6px 3px 14px;vertical-align:middle}"
    ".key.s0{background:#0b7285}.key.s1{background:#c2410c}.key.s2{background:#5b4b9e}.key.s3{"
    "background:#2b8a3e}"
    ".key.s4{background:#b7791f}.key.s5{background:#a61e4d}.key.s6{background:#1864ab}.key.s7{"
    "background:#495057}"
    ".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:20px}"
    ".confusion td,.confusion th{padding:3px 4px;text-align:center;font-size:11.5px;border:1px "
    "solid #fff}"
    ".confusion th{max-width:74px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}"
    ".worst{display:flex;flex-wrap:wrap;gap:12px}.worst "
    "figure{margin:0;width:104px;font-size:11.5px;color:var(--soft)}"
    ".worst img{width:104px;height:104px;object-fit:contain;border:1px solid "
    "var(--line);display:block}"
    ".worst img.small{image-rendering:pixelated}.classes{max-width:480px}.worst "
    "figcaption{overflow-wrap:anywhere}"
    "details pre{background:var(--wash);padding:12px;overflow-x:auto;font-size:12px}"
    ".rows td{white-space:nowrap}.rows code{overflow-wrap:normal}"
    "#layers td,#layers th{font-size:12px;padding-right:7px}#layers code{font-size:11px}"
    ".missing{color:#a61e4d}@media print{body{background:#fff}section{break-inside:avoid}}";

void html_page_begin(struct text *html, const char *title)
{
    text_add(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\"><title>");
    html_add(html, title);
    text_add(html, " - Glowworm</title><style>%s</style></head>\n<body><main><header><h1>", style);
    html_add(html, title);
    text_add(html, "</h1>");
}

void html_page_end(struct text *html)
{
    text_add(html, "</main></body></html>\n");
}
