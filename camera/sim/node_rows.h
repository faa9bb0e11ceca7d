/* The nodes, a row each, in the order in which the description lists them; included by node.h and
 * node.c only, each of which says what a row means to it. INTEGER(id, category, name, access, low,
 * high, step, initial, lock, tip), FLOAT(id, category, name, access, low, high, initial, unit,
 * lock, tip), BOOLEAN(id, category, name, access, initial, lock, tip), ENUM(id, category, name,
 * access, entries, initial, lock, tip), COMMAND(id, category, name, lock, tip), STRING(id,
 * category, name, access, tip). A name or a list of entries that no source has, but the display
 * name alone, says so in its tip: (named by us). */

STRING(DEVICE_VENDOR_NAME, DEVICE, "DeviceVendorName", RO, "Who made the camera")
STRING(DEVICE_MODEL_NAME, DEVICE, "DeviceModelName", RO, "The model")
STRING(DEVICE_VERSION, DEVICE, "DeviceVersion", RO, "The device's version")
STRING(DEVICE_FIRMWARE_VERSION, DEVICE, "DeviceFirmwareVersion", RO, "The firmware's version")
STRING(DEVICE_SERIAL_NUMBER, DEVICE, "DeviceSerialNumber", RO, "The serial number")
STRING(DEVICE_USER_ID, DEVICE, "DeviceUserID", RW, "A name that its user gives it")
COMMAND(DEVICE_RESET, DEVICE, "DeviceReset", FREE, "Start again; files that lie in DDR are lost")

INTEGER(SENSOR_WIDTH, IMAGE, "SensorWidth", RO, 1, 65535, 1, 1440, FREE, "Of the sensor")
INTEGER(SENSOR_HEIGHT, IMAGE, "SensorHeight", RO, 1, 65535, 1, 1080, FREE, "Of the sensor")
INTEGER(WIDTH_MAX, IMAGE, "WidthMax", RO, 1, 65535, 1, 1440, FREE, "Widest region")
INTEGER(HEIGHT_MAX, IMAGE, "HeightMax", RO, 1, 65535, 1, 1080, FREE, "Highest region")
INTEGER(WIDTH, IMAGE, "Width", RW, 8, 1440, 2, 1440, LOCKED, "Of the region of interest")
INTEGER(HEIGHT, IMAGE, "Height", RW, 8, 1080, 2, 1080, LOCKED, "Of the region of interest")
INTEGER(OFFSET_X, IMAGE, "OffsetX", RW, 0, 1432, 2, 0, LOCKED, "Of the region of interest")
INTEGER(OFFSET_Y, IMAGE, "OffsetY", RW, 0, 1072, 2, 0, LOCKED, "Of the region of interest")
ENUM(PIXEL_FORMAT, IMAGE, "PixelFormat", RW, "Mono8=17301505 Mono16=17825799", 0x01080001, LOCKED,
     "Of the images that are sent")
ENUM(TEST_PATTERN_GENERATOR_SELECTOR, IMAGE, "TestPatternGeneratorSelector", RW,
     "Sensor=0 PipelineStart=1", 0, LOCKED, "Where a test pattern takes the place of the image")
ENUM(TEST_PATTERN, IMAGE, "TestPattern", RW, "Off=0 Increment=1 InjectedImage=2", 0, LOCKED,
     "What takes the place of the image")
INTEGER(INJECTED_WIDTH, IMAGE, "InjectedWidth", RW, 1, 1440, 1, 1440, LOCKED,
        "Of the injected image")
INTEGER(INJECTED_HEIGHT, IMAGE, "InjectedHeight", RW, 1, 1080, 1, 1080, LOCKED,
        "Of the injected image")

ENUM(ACQUISITION_MODE, ACQUISITION, "AcquisitionMode", RW,
     "Continuous=0 SingleFrame=1 MultiFrame=2", 0, LOCKED, "How many images a start asks for")
INTEGER(ACQUISITION_FRAME_COUNT, ACQUISITION, "AcquisitionFrameCount", RW, 1, 65535, 1, 2, LOCKED,
        "Images of MultiFrame")
COMMAND(ACQUISITION_START, ACQUISITION, "AcquisitionStart", FREE, "Begin to take images")
COMMAND(ACQUISITION_STOP, ACQUISITION, "AcquisitionStop", FREE, "Take no more images")
FLOAT(ACQUISITION_FRAME_RATE, ACQUISITION, "AcquisitionFrameRate", RW, 1, 60, 60, "Hz", FREE,
      "Images a second")
ENUM(EXPOSURE_AUTO, ACQUISITION, "ExposureAuto", RW, "Off=0 Once=1 Continuous=2", 0, FREE,
     "Whether the camera chooses the exposure")
FLOAT(EXPOSURE_TIME, ACQUISITION, "ExposureTime", RW, 29, 30000000, 10000, "us", FREE,
      "Of an image; what a simulated image shows does not depend on it")
ENUM(TRIGGER_SELECTOR, ACQUISITION, "TriggerSelector", RW, "FrameStart=0", 0, LOCKED,
     "What is triggered")
ENUM(TRIGGER_MODE, ACQUISITION, "TriggerMode", RW, "Off=0 On=1", 0, LOCKED,
     "Whether images wait for the trigger")
ENUM(TRIGGER_SOURCE, ACQUISITION, "TriggerSource", RW, "Software=0 Line0=1 InferenceReady=2", 0,
     LOCKED, "InferenceReady: an image comes with its own inference's result")
COMMAND(TRIGGER_SOFTWARE, ACQUISITION, "TriggerSoftware", FREE, "A trigger")

ENUM(GAIN_AUTO, ANALOG, "GainAuto", RW, "Off=0 Once=1 Continuous=2", 0, FREE,
     "Whether the camera chooses the gain")
FLOAT(GAIN, ANALOG, "Gain", RW, 0, 48, 0, "dB", FREE, "Of the sensor")
FLOAT(BLACK_LEVEL, ANALOG, "BlackLevel", RW, 0, 10, 0, "%", FREE, "What black is raised by")
BOOLEAN(BLACK_LEVEL_CLAMPING_ENABLE, ANALOG, "BlackLevelClampingEnable", RW, 1, FREE,
        "Black is not let fall below a level: simulated, all words are raised by 4")
BOOLEAN(GAMMA_ENABLE, ANALOG, "GammaEnable", RW, 1, FREE,
        "Images are bent: simulated, by a gamma of 0.8")
BOOLEAN(SHARPENING_ENABLE, ANALOG, "SharpeningEnable", RW, 0, FREE, "Sharper edges")
BOOLEAN(DENOISE_ENABLE, ANALOG, "DenoiseEnable", RW, 1, FREE, "Fainter noise")

BOOLEAN(CHUNK_MODE_ACTIVE, CHUNK, "ChunkModeActive", RW, 0, LOCKED, "Send chunks behind an image")
ENUM(CHUNK_SELECTOR, CHUNK, "ChunkSelector", RW, "", 0, FREE, "Which chunk ChunkEnable is about")
BOOLEAN(CHUNK_ENABLE, CHUNK, "ChunkEnable", RW, 0, LOCKED, "Whether the selected chunk is sent")

ENUM(FILE_SELECTOR, FILES, "FileSelector", RW, "InferenceNetwork=0 InjectedImage=1 UserFile1=2", 0,
     FREE, "Which file the others are about")
ENUM(FILE_OPERATION_SELECTOR, FILES, "FileOperationSelector", RW,
     "Open=0 Close=1 Read=2 Write=3 Delete=4", 0, FREE, "What to execute")
COMMAND(FILE_OPERATION_EXECUTE, FILES, "FileOperationExecute", LOCKED, "Do it")
ENUM(FILE_OPEN_MODE, FILES, "FileOpenMode", RW, "Read=0 Write=1 ReadWrite=2", 0, FREE, "For Open")
INTEGER(FILE_ACCESS_OFFSET, FILES, "FileAccessOffset", RW, 0, 33554432, 1, 0, FREE,
        "Where in the file Read and Write begin")
INTEGER(FILE_ACCESS_LENGTH, FILES, "FileAccessLength", RW, 0, 4096, 1, 0, FREE,
        "How many bytes Read and Write are about")
ENUM(FILE_OPERATION_STATUS, FILES, "FileOperationStatus", RO, "Success=0 Failure=1 Overflow=2", 0,
     FREE, "How the last operation ended")
INTEGER(FILE_OPERATION_RESULT, FILES, "FileOperationResult", RO, 0, 33554432, 1, 0, FREE,
        "How many bytes the last operation read or wrote")
INTEGER(FILE_SIZE, FILES, "FileSize", RO, 0, 33554432, 1, 0, FREE, "Bytes of the file; 0: none")
BOOLEAN(FILE_WRITE_TO_FLASH, FILES, "FileWriteToFlash", RW, 0, FREE,
        "Where a file that is open for writing goes: flash keeps it, DDR does not")

BOOLEAN(INFERENCE_ENABLE, INFERENCE, "InferenceEnable", RW, 0, FREE, "Whether the network is run")
ENUM(INFERENCE_NETWORK_TYPE_SELECTOR, INFERENCE, "InferenceNetworkTypeSelector", RW,
     "Detection=0 Classification=1", 1, FREE, "What the network's answers are")
FLOAT(INFERENCE_BOUNDING_BOX_THRESHOLD, INFERENCE, "InferenceBoundingBoxThreshold", RW, 0, 1, 0.25,
      "", FREE, "Of detection, which is not simulated")
FLOAT(INFERENCE_TIME, INFERENCE, "InferenceTime", RO, 0, 1e9, 0, "ms", FREE,
      "Of the last inference, with its preprocessing")
STRING(INFERENCE_NETWORK_NAME, INFERENCE, "InferenceNetworkName", RW,
       "A name that its user gives the network (named by us)")
ENUM(INFERENCE_NETWORK_STATUS, INFERENCE, "InferenceNetworkStatus", RO,
     "NoNetwork=0 Ready=1 Refused=2", 0, FREE, "Of the network's file (named by us)")
INTEGER(INFERENCE_MAX_NETWORK_SIZE, INFERENCE, "InferenceMaxNetworkSize", RO, 0, 33554432, 1,
        25165824, FREE, "Bytes of the largest file that is taken (named by us)")

ENUM(INFERENCE_PREPROCESS_BPP_SELECTOR, PREPROCESSING, "InferencePreprocessBppSelector", RW,
     "Mono8=0", 0, FREE, "Format of the images the network was trained on")
ENUM(INFERENCE_PREPROCESS_CHANNEL_SELECTOR, PREPROCESSING, "InferencePreprocessChannelSelector", RW,
     "Channel1=0 Channel2=1 Channel3=2", 0, FREE,
     "Which channel mean and scalar are about (named by us)")
FLOAT(INFERENCE_PREPROCESS_CHANNEL_MEAN, PREPROCESSING, "InferencePreprocessChannelMean", RW, -1e6,
      1e6, 0, "", FREE, "Taken off every pixel")
FLOAT(INFERENCE_PREPROCESS_CHANNEL_SCALAR, PREPROCESSING, "InferencePreprocessChannelScalar", RW,
      1e-6, 1e6, 1, "", FREE, "What is left is divided by")

INTEGER(INFERENCE_MAX_INPUT_SIZE_X, PROPERTIES, "InferenceMaxInputSizeX", RO, 0, 65535, 1, 1440,
        FREE, "Widest input a network may have")
INTEGER(INFERENCE_MAX_INPUT_SIZE_Y, PROPERTIES, "InferenceMaxInputSizeY", RO, 0, 65535, 1, 1080,
        FREE, "Highest input a network may have (named by us)")
INTEGER(INFERENCE_NETWORK_SIZE, PROPERTIES, "InferenceNetworkSize", RO, 0, 33554432, 1, 0, FREE,
        "Bytes of the network's file (named by us)")
INTEGER(INFERENCE_NETWORK_TOTAL_LAYERS, PROPERTIES, "InferenceNetworkTotalLayers", RO, 0, 65535, 1,
        0, FREE, "Layers of the network (named by us)")
INTEGER(INFERENCE_NETWORK_INPUT_WIDTH, PROPERTIES, "InferenceNetworkInputWidth", RO, 0, 65535, 1, 0,
        FREE, "Of the network's input (named by us)")
INTEGER(INFERENCE_NETWORK_INPUT_HEIGHT, PROPERTIES, "InferenceNetworkInputHeight", RO, 0, 65535, 1,
        0, FREE, "Of the network's input (named by us)")
INTEGER(INFERENCE_NETWORK_INPUT_CHANNELS, PROPERTIES, "InferenceNetworkInputChannels", RO, 0, 65535,
        1, 0, FREE, "Of the network's input (named by us)")
INTEGER(INFERENCE_OUTPUT_CLASSES, PROPERTIES, "InferenceOutputClasses", RO, 0, 131072, 1, 0, FREE,
        "Of the network (named by us)")

INTEGER(PAYLOAD_SIZE, TRANSPORT, "PayloadSize", RO, 0, 2147483647, 1, 0, FREE,
        "Bytes of an image and its chunks")
