# The documented walk-through of run_qtable, and what the pages say of fp_forward and mlir2onnx.
set -e
detect_yolov3 \
     --model ../tiny-yolov3-11.onnx \
     --input ../COCO2017/1.png \
     --output yolov3_onnx.jpg
model_transform \
    --model_name yolov3_tiny \
    --model_def ../tiny-yolov3-11.onnx \
    --input_shapes [[1,3,64,64]] \
    --scale 0.0039216,0.0039216,0.0039216 \
    --pixel_format rgb \
    --keep_aspect_ratio \
    --pad_value 128 \
    --output_names=convolution_output1,convolution_output \
    --test_input ../COCO2017/1.png \
    --test_result yolov3_tiny_top_outputs.npz \
    --mlir yolov3_tiny.mlir
run_calibration yolov3_tiny.mlir \
    --dataset ../COCO2017 \
    --input_num 100 \
    -o yolov3_cali_table
model_deploy \
    --mlir yolov3_tiny.mlir \
    --quantize INT8 \
    --calibration_table yolov3_cali_table \
    --processor bm1684x \
    --model yolov3_int8.bmodel
detect_yolov3.py \
     --model yolov3_int8.bmodel \
     --input ../COCO2017/1.png \
     --output yolov3_int8.jpg
run_qtable yolov3_tiny.mlir \
    --dataset ../COCO2017 \
    --calibration_table yolov3_cali_table \
    --min_layer_cos 0.99999 \
    --expected_cos 0.9999999 \
    --processor bm1684x \
    -o yolov3_qtable
run_qtable.py yolov3_tiny.mlir \
    --data_list ../list --calibration_table yolov3_cali_table --chip bm1684x --fp_type F32 --input_num 2 --expected_cos 1 --min_layer_cos 1 --debug_cmd "" \
    --global_compare_layers convolution_output1_Conv:0.3,convolution_output_Conv:0.7 --loss_table loss.txt -o yolov3_qtable_2
model_deploy.py \
    --mlir yolov3_tiny.mlir \
    --quantize INT8 \
    --quantize_table yolov3_qtable \
    --calibration_table yolov3_cali_table \
    --chip bm1684x \
    --model yolov3_mix.bmodel
detect_yolov3 \
     --model yolov3_mix.bmodel \
     --input ../COCO2017/1.png \
     --output yolov3_mix.jpg
fp_forward.py \
    yolov3_tiny.mlir \
    --quantize INT8 \
    --chip bm1684x \
    --fpfwd_outputs convolution_output1_Conv,convolution_output_Conv\
    --chip bm1684x \
    -o yolov5s_qtable
model_deploy.py \
    --mlir yolov3_tiny.mlir \
    --quantize INT8 \
    --calibration_table yolov3_cali_table \
    --quantize_table yolov5s_qtable\
    --chip bm1684x \
    --test_input yolov3_tiny_in_f32.npz \
    --test_reference yolov3_tiny_top_outputs.npz \
    --tolerance 0.85,0.45 \
    --model yolov5s_1684x_mix.bmodel
mlir2onnx.py -m yolov3_tiny.mlir -o xxx.onnx
fp_forward.py yolov3_tiny.mlir --fpfwd_outputs convolution_output_Conv --chip bm1684 --fp_type F32 -o xxx_qtable 
fp_forward yolov3_tiny.mlir --processor bm1688 --fpfwd_inputs ar_Relu --fpfwd_blocks br_Relu:cr_Relu dr_Relu:convolution_output_Conv -o blocks_qtable
