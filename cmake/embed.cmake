# cmake -DOUT=file.c -DHEADER=path/of.h -DFILES=a.html;b.css -P embed.cmake: every file as a const array, and a
# struct page_asset named after it (page.html: page_html).
set(code "#include \"${HEADER}\"\n")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER ${name} name)
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
  string(APPEND code "static const unsigned char ${name}_bytes[] = {\n${bytes}};\n"
    "const struct page_asset ${name} = {${name}_bytes, sizeof ${name}_bytes};\n")
endforeach()
file(WRITE ${OUT} "${code}")
