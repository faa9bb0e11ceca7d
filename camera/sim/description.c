#include "camera/sim/description.h"
#include "camera/sim/chunk.h"
#include "camera/sim/registers.h"
#include <stdio.h>
#include <string.h>

/* What a selector selects: GenICam wants to be told. */
static const struct {
    enum node_id selector, selected;
} selections[] = {
    {NODE_CHUNK_SELECTOR, NODE_CHUNK_ENABLE},
    {NODE_TRIGGER_SELECTOR, NODE_TRIGGER_MODE},
    {NODE_TRIGGER_SELECTOR, NODE_TRIGGER_SOURCE},
    {NODE_TRIGGER_SELECTOR, NODE_TRIGGER_SOFTWARE},
    {NODE_FILE_SELECTOR, NODE_FILE_OPERATION_SELECTOR},
    {NODE_FILE_SELECTOR, NODE_FILE_OPERATION_STATUS},
    {NODE_FILE_SELECTOR, NODE_FILE_OPERATION_RESULT},
    {NODE_FILE_SELECTOR, NODE_FILE_SIZE},
    {NODE_FILE_OPERATION_SELECTOR, NODE_FILE_OPERATION_EXECUTE},
    {NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR, NODE_INFERENCE_PREPROCESS_CHANNEL_MEAN},
    {NODE_INFERENCE_PREPROCESS_CHANNEL_SELECTOR, NODE_INFERENCE_PREPROCESS_CHANNEL_SCALAR},
};

static const char *const access_names[] = {"RO", "RW", "WO"};

static void add_register(struct text *xml, const char *kind, const char *name, uint32_t address,
                         uint32_t length, const char *access)
{
    text_add(xml,
             "<%s Name=\"%s\"><Address>0x%x</Address><Length>%u</Length>"
             "<AccessMode>%s</AccessMode><pPort>Device</pPort><Cachable>NoCache</Cachable>",
             kind, name, address, length, access);
    if (strcmp(kind, "IntReg") == 0)
        text_add(xml, "<Sign>Unsigned</Sign>");
    if (strcmp(kind, "IntReg") == 0 || strcmp(kind, "FloatReg") == 0)
        text_add(xml, "<Endianess>BigEndian</Endianess>");
    text_add(xml, "</%s>\n", kind);
}

/* "Off=0 On=1" as entries. */
static void add_entries(struct text *xml, const char *entries)
{
    while (*entries) {
        int name = (int)strcspn(entries, "="), value = (int)strcspn(entries + name + 1, " ");
        text_add(xml, "<EnumEntry Name=\"%.*s\"><Value>%.*s</Value></EnumEntry>", name, entries,
                 value, entries + name + 1);
        entries += name + 1 + value;
        entries += strspn(entries, " ");
    }
}

static void add_selected(struct text *xml, enum node_id selector)
{
    for (size_t i = 0; i < sizeof selections / sizeof selections[0]; i++)
        if (selections[i].selector == selector)
            text_add(xml, "<pSelected>%s</pSelected>", nodes[selections[i].selected].name);
}

static void add_range(struct text *xml, const struct node *node)
{
    text_add(xml, "<Min>");
    text_add_real(xml, node->low);
    text_add(xml, "</Min><Max>");
    text_add_real(xml, node->high);
    text_add(xml, "</Max>");
    if (node->kind == NODE_INTEGER)
        text_add(xml, "<Inc>%u</Inc>", node->step);
    if (node->unit && node->unit[0])
        text_add(xml, "<Unit>%s</Unit>", node->unit);
}

static const char *const element_names[] = {
    [NODE_INTEGER] = "Integer",  [NODE_FLOAT] = "Float",     [NODE_BOOLEAN] = "Boolean",
    [NODE_ENUM] = "Enumeration", [NODE_COMMAND] = "Command", [NODE_STRING] = "StringReg"};

static void add_node(struct text *xml, enum node_id id, enum camera_model model)
{
    const struct node *node = &nodes[id];
    const char *element = element_names[node->kind], *access = access_names[node->access];
    char value[80];
    if (node->kind == NODE_STRING) {
        add_register(xml, element, node->name, node_address(id), node_length(id), access);
        return;
    }
    snprintf(value, sizeof value, "%sValue", node->name);
    text_add(xml, "<%s Name=\"%s\" NameSpace=\"%s\"><ToolTip>%s</ToolTip>", element, node->name,
             strstr(node->name, "Infer") ? "Custom" : "Standard", node->tip);
    if (node->is_locked)
        text_add(xml, "<pIsLocked>TLParamsLocked</pIsLocked>");
    if (node->kind == NODE_ENUM)
        add_entries(xml, node_entries(id, model));
    text_add(xml, "<pValue>%s</pValue>", value);
    if (node->kind == NODE_COMMAND)
        text_add(xml, "<CommandValue>1</CommandValue>");
    if (node->kind == NODE_BOOLEAN)
        text_add(xml, "<OnValue>1</OnValue><OffValue>0</OffValue>");
    if (node->kind == NODE_INTEGER || node->kind == NODE_FLOAT)
        add_range(xml, node);
    add_selected(xml, id);
    text_add(xml, "</%s>\n", element);
    add_register(xml, node->kind == NODE_FLOAT ? "FloatReg" : "IntReg", value, node_address(id), 4,
                 access);
}

static void add_chunk(struct text *xml, uint32_t id)
{
    const struct chunk *chunk = &chunks[id];
    const char *kind = chunk->is_float ? "Float" : "Integer";
    text_add(xml, "<Port Name=\"Chunk%sPort\"><ChunkID>%x</ChunkID></Port>\n", chunk->name,
             CHUNK_TAG_BASE + id);
    text_add(xml, "<%s Name=\"Chunk%s\"><pValue>Chunk%sValue</pValue></%s>\n", kind, chunk->name,
             chunk->name, kind);
    text_add(xml,
             "<%s Name=\"Chunk%sValue\"><Address>0</Address><Length>%u</Length>"
             "<AccessMode>RO</AccessMode><pPort>Chunk%sPort</pPort><Cachable>NoCache</Cachable>%s"
             "<Endianess>BigEndian</Endianess></%s>\n",
             chunk->is_float ? "FloatReg" : "IntReg", chunk->name, chunk->length, chunk->name,
             chunk->is_float ? "" : "<Sign>Unsigned</Sign>",
             chunk->is_float ? "FloatReg" : "IntReg");
}

static void add_category(struct text *xml, enum node_category category)
{
    text_add(xml, "<Category Name=\"%s\" NameSpace=\"Standard\">", node_categories[category]);
    for (int i = 0; i < NODE_COUNT; i++)
        if (nodes[i].category == category)
            text_add(xml, "<pFeature>%s</pFeature>", nodes[i].name);
    for (int i = 0; category == NODE_CHUNK && i < CHUNK_COUNT; i++)
        text_add(xml, "<pFeature>Chunk%s</pFeature>", chunks[i].name);
    text_add(xml, "%s</Category>\n",
             category == NODE_FILES ? "<pFeature>FileAccessBuffer</pFeature>" : "");
}

static void add_root(struct text *xml)
{
    text_add(xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                  "<RegisterDescription ModelName=\"Firefly_DL\" VendorName=\"FLIR\" "
                  "StandardNameSpace=\"GEV\" SchemaMajorVersion=\"1\" SchemaMinorVersion=\"1\" "
                  "SchemaSubMinorVersion=\"0\" MajorVersion=\"1\" MinorVersion=\"0\" "
                  "SubMinorVersion=\"0\" ToolTip=\"Simulated Firefly DL\" "
                  "ProductGuid=\"0\" VersionGuid=\"0\" "
                  "xmlns=\"http://www.genicam.org/GenApi/Version_1_1\">\n"
                  "<Category Name=\"Root\" NameSpace=\"Standard\">");
    for (int i = 0; i < NODE_CATEGORIES; i++)
        text_add(xml, "<pFeature>%s</pFeature>", node_categories[i]);
    text_add(xml, "</Category>\n");
}

void description_write(enum camera_model model, struct text *xml)
{
    add_root(xml);
    for (int i = 0; i < NODE_CATEGORIES; i++)
        add_category(xml, (enum node_category)i);
    for (int i = 0; i < NODE_COUNT; i++)
        add_node(xml, (enum node_id)i, model);
    add_register(xml, "Register", "FileAccessBuffer", NODE_BUFFER, NODE_BUFFER_BYTES, "RW");
    for (uint32_t i = 0; i < CHUNK_COUNT; i++)
        add_chunk(xml, i);
    /* whoever starts an acquisition sets it on its own side */
    text_add(xml, "<Integer Name=\"TLParamsLocked\"><Visibility>Invisible</Visibility>"
                  "<Value>0</Value><Min>0</Min><Max>1</Max></Integer>\n"
                  "<Port Name=\"Device\"/>\n</RegisterDescription>\n");
}
