# The documented walk-throughs of search_qtable and run_sensitive_layer, command by command as they are printed, with and without .py.
set -e
model_transform \
    --model_name mobilenet_v2 \
    --model_def ../mobilenet_v2.onnx \
    --input_shapes [[1,3,32,32]] \
    --resize_dims 40,40 \
    --mean 123.675,116.28,103.53 \
    --scale 0.0171,0.0175,0.0174 \
    --pixel_format rgb \
    --mlir mobilenet_v2.mlir
run_calibration.py mobilenet_v2.mlir \
    --dataset ../ILSVRC2012 \
    --input_num 100 \
    --cali_method use_mse \
    -o mobilenet_v2_cali_table
model_deploy.py \
    --mlir mobilenet_v2.mlir \
    --quantize F32 \
    --processor bm1684x \
    --model mobilenet_v2_f32.bmodel
model_deploy \
    --mlir mobilenet_v2.mlir \
    --quantize INT8 \
    --chip bm1684x \
    --calibration_table mobilenet_v2_cali_table \
    --model mobilenet_v2_int8_sym.bmodel
classify_mobilenet_v2.py \
    --model_def mobilenet_v2_f32.bmodel \
    --input ../ILSVRC2012/3.png \
    --output mobilenet_v2_fp32_bmodel.JPEG \
    --category_file ../ILSVRC2012/synset_words.txt
run_calibration.py mobilenet_v2.mlir \
    --dataset ../ILSVRC2012 \
    --input_num 100 \
    --inference_num 30 \
    --expected_cos 0.999999 \
    --quantize_method_list KL,MSE \
    --search search_qtable \
    --transformer False \
    --processor bm1684 \
    ${POST_PROCESS:+--post_process post_process_func.py} \
    --quantize_table mobilenet_v2_qtable \
    --calibration_table mobilenet_v2_cali_table \

model_deploy \
    --mlir mobilenet_v2.mlir \
    --quantize INT8 \
    --processor bm1684 \
    --calibration_table new_cali_table.txt \
    --quantize_table mobilenet_v2_qtable \
    --not_gen_bmodel \
    --model mobilenet_v2_bm1684_int8_mix.bmodel
# For the chip whose instructions there are: all flags of the table, and the bmodel.
run_calibration mobilenet_v2.mlir \
    --dataset ../ILSVRC2012 \
    --chip bm1684x --fp_type auto --input_num 10 --inference_num 4 --max_float_layers 2 --tune_list ../tune_list --tune_num 3 \
    --expected_cos 0.999999 --debug_cmd "" --global_compare_layers fc_Gemm --search search_qtable --transformer True \
    --quantize_method_list Percentile9999,MAX --quantize_table mobilenet_v2_qtable --calibration_table mobilenet_v2_cali_table
model_deploy.py \
    --mlir mobilenet_v2.mlir \
    --quantize INT8 \
    --processor bm1684x \
    --calibration_table new_cali_table.txt \
    --quantize_table mobilenet_v2_qtable \
    --model mobilenet_v2_int8_mix.bmodel
classify_mobilenet_v2 \
    --model_def mobilenet_v2_int8_mix.bmodel \
    --input ../ILSVRC2012/3.png \
    --output mobilenet_v2_INT8_mix_bmodel_1.JPEG \
    --category_file ../ILSVRC2012/synset_words.txt
run_sensitive_layer mobilenet_v2.mlir \
    --dataset ../ILSVRC2012 \
    --input_num 100 \
    --inference_num 30 \
    --expected_cos 0.999999 \
    --calibration_table mobilenet_v2_cali_table \
    --processor bm1684 \
    ${POST_PROCESS:+--post_process post_process_func.py} \
    -o mobilenet_v2_qtable
run_sensitive_layer.py mobilenet_v2.mlir \
    --data_list ../tune_list --chip bm1684x --fp_type F16 --input_num 3 --inference_num 2 --max_float_layers 1 --tune_list ../tune_list --tune_num 2 --histogram_bin_num 1024 \
    --expected_cos 1 --debug_cmd "" --global_compare_layers fc_Gemm:1.0 --calibration_table mobilenet_v2_cali_table -o mobilenet_v2_qtable
model_deploy \
    --mlir mobilenet_v2.mlir \
    --quantize INT8 \
    --processor bm1684x \
    --calibration_table new_cali_table.txt \
    --quantize_table mobilenet_v2_qtable \
    --model mobilenet_v2_mix2.bmodel
